"""Sending: attempts become provider calls, and calls become results. It talks to neither the broker nor the database."""
