"""The broker remembers which ids were given, so that a database that was restored to before that is recognised."""

from collections.abc import Callable

from sqlalchemy import Connection, Row, text

from dispatcher_service.leading.chores.chore import Chore, Step
from shared.clock import ticks
from shared.database.ids import last_given
from shared.ledger.entries import Entries

SETTLED = 5.0
"""Seconds after which a standby that commits are waited for has what the disk has."""


class RememberIds(Chore):
    """Tells how far they were SETTLED seconds ago, when that is on the database's disk.

    Launches are committed without waiting for the disk or for a standby: what a crash or a failover takes back of them
    was never sent, and is given again with good reason.
    """

    name = "remember_ids"
    pause = 1.0

    def __init__(self, remember: Callable[[int], None]) -> None:
        """remember: takes the highest id that was given for good."""
        super().__init__()
        self._remember = remember
        self._told = 0
        # An id, the place in the log of the database up to which it may be written, and when it was seen.
        self._seen: tuple[int, str, float] | None = None

    def work(self, step: Step) -> bool | None:
        found = step.acts.run(self.name, None, self._read)
        if found is None:
            return None
        last, place = found
        if self._seen and place.is_written and ticks() - self._seen[2] >= SETTLED:
            self._told, self._seen = self._seen[0], None
            self._remember(self._told)
        if self._seen is None and last > self._told:
            self._seen = (last, place.now, ticks())
        return False

    def _read(self, connection: Connection, _entries: Entries) -> tuple[int, Row[tuple[str, bool]]]:
        last = last_given(connection)  # before the place
        return last, connection.execute(_PLACE, {"seen": self._seen and self._seen[1]}).one()


_PLACE = text("""
    select cast(pg_current_wal_insert_lsn() as text) as now,
           coalesce(pg_current_wal_flush_lsn() >= cast(:seen as pg_lsn), false) as is_written
""")
