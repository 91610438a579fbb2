"""How the tables of greetings came to be, a revision a file."""
