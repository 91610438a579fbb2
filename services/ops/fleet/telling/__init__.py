"""What people and programs are told of a replacement: events, and how they are shown."""
