"""How many requests a second somebody may make."""

from throttled import MemoryStore, RateLimiterType, Throttled, per_sec

_MOST = 10_000  # who are counted at a time; whoever has not asked for longest is forgotten first


class Rate:
    """Counts in the memory of this process: each of API_WORKERS grants the rate anew. That is near enough for what it
    is for, that nobody uses up the service by accident or by force, and costs no round trip."""

    def __init__(self, per_second: int) -> None:
        """per_second: 0: no limit."""
        self._throttled: Throttled | None = None
        if per_second:
            store = MemoryStore(options={"MAX_SIZE": _MOST})
            self._throttled = Throttled(using=RateLimiterType.GCRA.value, quota=per_sec(per_second), store=store)

    def allows(self, who: str) -> bool:
        """Whether one more of his fits; it counts if so."""
        return self._throttled is None or not self._throttled.limit(who).limited

    def is_used_up(self, who: str) -> bool:
        """Whether one more of theirs would not fit; nothing is counted."""
        return self._throttled is not None and self._throttled.peek(who).remaining < 1
