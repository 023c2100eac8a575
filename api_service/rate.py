"""How many requests a second somebody may make."""

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter


class Rate:
    """Counts in the memory of this process: each of API_WORKERS grants the rate anew. That is near enough for what it
    is for, that nobody uses up the service by accident or by force, and costs no round trip."""

    def __init__(self, per_second: int) -> None:
        """per_second: 0: no limit."""
        self._limit = RateLimitItemPerSecond(per_second) if per_second else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage()) if per_second else None

    def allows(self, who: str) -> bool:
        """Whether one more of his fits; it counts if so."""
        if self._limit is None or self._limiter is None:
            return True
        return self._limiter.hit(self._limit, who)
