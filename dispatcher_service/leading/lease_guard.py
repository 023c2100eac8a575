"""Whether leases that look as if they had run out really have."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.clock_watch import ClockWatch
from shared import metrics
from shared.clock import ticks
from shared.logs import logger


class LeaseGuard:
    """Trusts no lease's end for as long as a lease lasts after the database's clock has stepped.

    What looks as if it had run out may be on the wire. Afterwards every claim that was made before the step is over by
    the ticks of whoever made it. Belongs to one thread, and lives as long as the process: who takes the lead after a
    step has to have seen the clock before it.
    """

    def __init__(self, lease: float) -> None:
        """lease: seconds that the leases of the dispatchers last."""
        self._lease = lease
        self._watch = ClockWatch()
        self._not_before = 0.0

    def trusts(self, connection: Connection) -> bool:
        """Whether the clock by which this transaction goes may end leases. Asked at its beginning."""
        before = ticks()
        shown = connection.scalar(_NOW)
        after = ticks()
        if step := self._watch.step(shown, before, after):
            self._not_before = after + self._lease
            metrics.CLOCK_STEPS.inc()
            logger().warning("database_clock_stepped", seconds=round(step, 1), rescue_in=round(self._lease, 1))
        return after >= self._not_before


_NOW = text("select now()")
