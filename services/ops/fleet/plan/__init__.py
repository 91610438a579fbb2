"""What to do next: from what is seen, what is wanted and what was decided to steps. Pure."""
