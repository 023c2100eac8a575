"""How far the ids of messages are, as far as no crash and no failover takes it back."""

from collections.abc import Callable

from sqlalchemy import Connection, text

from shared.clock import ticks
from shared.database.ids import last_given

SETTLED = 2.0
"""Seconds after which a standby that commits are waited for has what the disk has."""


class SettledIds:
    """Looks from time to time, and believes a look when it is SETTLED seconds old and on the database's disk.

    Launches are committed without waiting for the disk or for a standby: what is taken back of them was never sent, and
    is given again with good reason.
    """

    def __init__(self, learn: Callable[[int], object]) -> None:
        """learn: is told the highest id that was given for good."""
        self._learn = learn
        self._highest = 0
        self._seen = 0
        self._written_up_to = ""  # the place in the database's log at that look
        self._at = 0.0

    def look(self, connection: Connection) -> int:
        """The highest id that was given for good, as far as it is known."""
        last = last_given(connection)  # before the place
        place = connection.execute(_PLACE, {"before": self._written_up_to or None}).one()
        if place.is_written and ticks() - self._at >= SETTLED:
            self._highest = self._seen
            self._written_up_to = ""
            self._learn(self._highest)
        if not self._written_up_to and last > self._highest:
            self._seen, self._written_up_to, self._at = last, place.now, ticks()
        return self._highest


_PLACE = text("""
    select cast(pg_current_wal_insert_lsn() as text) as now,
           coalesce(pg_current_wal_flush_lsn() >= cast(:before as pg_lsn), false) as is_written
""")
