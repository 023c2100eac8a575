"""Whether the database's clock goes on as ours does. Pure.

Leases end by the database's clock. When that steps forward, as in a failover to a machine whose clock is ahead, leases
look as if they had run out while the calls that they guard are open.
"""

from datetime import datetime

TOLERANCE = 1.0
"""Seconds by which the two clocks may part between two readings: clocks that are being corrected run a little fast or
slow."""


class ClockWatch:
    """Told what the clock shows, again and again."""

    def __init__(self) -> None:
        self._ahead: tuple[float, float] | None = None  # of our ticks, in seconds: at least, at most

    def step(self, shown: datetime, before: float, after: float) -> float:
        """How far the clock has stepped since the last reading, in seconds, below 0 if back; 0.0 if it did not.

        Args:
            shown: what it showed.
            before: our ticks before it was asked.
            after: our ticks when the answer was there.
        """
        least, most = shown.timestamp() - after, shown.timestamp() - before
        known_least, known_most = self._ahead or (least, most)
        self._ahead = least, most
        if least > known_most + TOLERANCE:
            return least - known_most
        if most < known_least - TOLERANCE:
            return most - known_least
        return 0.0
