"""The services, what every service gets (`kit`), and the command that runs them (`ops`)."""
