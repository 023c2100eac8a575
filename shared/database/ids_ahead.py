"""After a restore, ids are set ahead, so that none is given twice."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

MARGIN = 1_000_000_000
"""Ids that are left out at the least, where the clock of the database cannot be right."""

SEQUENCES = {
    "messages": "'message_ids'",  # a provider knows them
    "clients": "pg_get_serial_sequence('clients', 'id')",  # those who use the API know these
    "mailings": "pg_get_serial_sequence('mailings', 'id')",
    "imports": "pg_get_serial_sequence('imports', 'id')",
    "segments": "pg_get_serial_sequence('segments', 'id')",
    "suppressions": "pg_get_serial_sequence('suppressions', 'id')",
    "audit": "pg_get_serial_sequence('audit', 'id')",  # who follows it asks for what is behind the last one they have
    "claims": "'claims'",  # a dispatcher that outlived the restore may hold some
}


def set_ahead(connection: Connection, known: int = 0) -> Mapping[str, tuple[int, int]]:
    """Where each of these sequences was, and where it is now: at the microseconds since 1970.

    Every id that was ever given lies below, however old the backup is and however often it was restored: a database
    gives less than a million ids a second. known: an id that was given in any case.
    """
    return {name: move(connection, sequence, known) for name, sequence in SEQUENCES.items()}


def move(connection: Connection, sequence: str, known: int = 0) -> tuple[int, int]:
    """One of them. sequence: as SQL names it."""
    before, after = connection.execute(text(_MOVE.format(sequence=sequence)), {"known": known, "margin": MARGIN}).one()
    return before, after


_MOVE = """
    select before, setval({sequence}, greatest(
        before + :margin, :known + :margin, cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)
    )) as after
    from (select coalesce(pg_sequence_last_value(cast({sequence} as regclass)), 0) as before) now
"""
