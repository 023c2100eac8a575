"""Whom a mailing is for, as the database answers it."""
