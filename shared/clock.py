"""The two clocks: what time it is, and how long something lasts."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def ticks() -> float:
    """Seconds on a clock that never steps back; it goes on while the process is stopped and, on Linux, while the
    machine sleeps, so that a lease measured with it is never believed to be longer than it is."""
    return time.clock_gettime(_STEADY)


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # asked several times for each call
