"""The database: how it is reached, what is in it, and how its schema came to be."""
