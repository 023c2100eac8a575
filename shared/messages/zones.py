"""A client's time zone stands still while somebody times messages by it.

Who times messages cannot see a zone that is about to change, and who changes it cannot see messages that are about to
be written. So the ones share a lock for the length of their transaction, and the others have it for themselves; what
comes after it sees what was committed while they waited.
"""

from sqlalchemy import Connection, text

_LOCK = 0x7A6F6E65  # "zone"


def hold_zones(connection: Connection) -> None:
    """Until the end of the transaction no zone changes. Rows of mailings and messages may be locked before: whoever
    changes zones waits for none of them."""
    connection.execute(_HOLD)


def hold_zones_alone(connection: Connection) -> None:
    """Until the end of the transaction nobody else times messages. To be taken when the zones are written."""
    connection.execute(_HOLD_ALONE)


_HOLD = text(f"select pg_advisory_xact_lock_shared({_LOCK})")
_HOLD_ALONE = text(f"select pg_advisory_xact_lock({_LOCK})")
