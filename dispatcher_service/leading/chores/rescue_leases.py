"""A message whose dispatcher is gone, or too slow, is sent by another one."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.clock_watch import ClockWatch
from shared import metrics
from shared.clock import ticks
from shared.ledger.entries import open_entries
from shared.logs import logger
from shared.messages.rescue import rescue_messages

RESCUE_SLICE = 5_000


class RescueLeases:
    """Frees messages whose lease ran out.

    Not for as long as a lease lasts after the database's clock has stepped: what looks as if it had run out may be on
    the wire. Afterwards every claim that was made before the step is over by the clock of whoever made it.
    """

    def __init__(self, slot: int, attempts: int, lease: float) -> None:
        """attempts: provider calls at the most. lease: seconds that the leases of the dispatchers last."""
        self._slot = slot
        self._attempts = attempts
        self._lease = lease
        self._watch = ClockWatch()
        self._not_before = 0.0

    def __call__(self, connection: Connection) -> int:
        """The next slice; how many there were."""
        with connection.begin(), open_entries(connection, self._slot) as entries:
            self._look(connection)
            if ticks() < self._not_before:
                return 0
            rescued = rescue_messages(connection, entries, self._attempts, RESCUE_SLICE)
        metrics.MESSAGES_RESCUED.inc(rescued)
        if rescued:
            logger().warning("leases_ran_out", count=rescued)
        return rescued

    def stand_by(self, connection: Connection) -> None:
        """Whoever takes the lead after a step has to have seen the clock before it."""
        with connection.begin():
            self._look(connection)

    def _look(self, connection: Connection) -> None:
        """At the clock by which this transaction goes."""
        before = ticks()
        shown = connection.scalar(_NOW)
        after = ticks()
        if step := self._watch.step(shown, before, after):
            self._not_before = after + self._lease
            metrics.CLOCK_STEPS.inc()
            logger().warning("database_clock_stepped", seconds=round(step, 1), rescue_in=round(self._lease, 1))


_NOW = text("select now()")
