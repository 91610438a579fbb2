"""How the tables of users came to be, a revision a file."""
