"""Who leads: one dispatcher at a time, by an advisory lock of its session.

Whoever else has to be sure that nothing is launched and nothing fed takes the lead itself, and does nothing with it.
"""

from sqlalchemy import Connection, text

from shared.database.engine import try_lock

LEADER_LOCK = 0x66656564  # "feed"

DISPATCHER = "dispatcher"
"""As the sessions of dispatchers are called in pg_stat_activity. Each has one of its own that stands by or leads,
whatever pooler the others go through."""


def take_lead(connection: Connection) -> bool:
    """For as long as the connection lives; False where somebody else leads."""
    return try_lock(connection, LEADER_LOCK)


def count_dispatchers(connection: Connection) -> int:
    """How many sessions dispatchers have here at this moment."""
    number: int = connection.execute(_COUNT, {"name": DISPATCHER}).scalar_one()
    return number


_COUNT = text("""
    select count(*) from pg_stat_activity where datname = current_database() and application_name = :name
""")
