"""Attempts become provider calls, and calls become results. Nothing here talks to the broker or the database."""
