"""How the tables of products came to be, a revision a file."""
