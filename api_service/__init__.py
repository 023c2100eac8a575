"""The HTTP API: the directory of clients, the mailings, their statistics."""
