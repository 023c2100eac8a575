"""How fast results come in, as the sender sees it. Pure."""

SPAN = 0.1
"""Seconds over which is counted, at least."""


class Throughput:
    """Results per second while there was something to do. It rises at once, so that a fast provider need not wait for
    us, and falls over a second."""

    def __init__(self, now: float) -> None:
        self.per_second = 0.0
        self._count = 0
        self._since = now

    def rest(self, seconds: float) -> None:
        """There was nothing to do, which says nothing about the provider; after a while it may be another."""
        self._since += seconds
        if seconds >= 1.0:
            self.per_second = 0.0

    def count(self, results: int, now: float, lasted: float) -> None:
        """lasted: how long such a call takes, in seconds. Calls that began together end together, so no less than
        twice that is counted over: else the answers that come within a tenth of two seconds count for twenty times as
        many. Over once that, two waves might, which is twice what there is."""
        self._count += results
        span = now - self._since
        if span >= max(SPAN, 2 * lasted):
            latest = self._count / span
            self.per_second = max(latest, self.per_second + min(1.0, span) * (latest - self.per_second))
            self._count, self._since = 0, now
