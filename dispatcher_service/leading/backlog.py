"""How many jobs the feeder keeps waiting on the broker, and when it looks again. Pure.

As few as keep the dispatchers busy: what waits there is out of reach of a pause, a cancel, and a mailing that is more
urgent. How few that is depends on how fast they are consumed, so that is measured: AHEAD seconds' worth. When the queue
ran dry although something had been published, more could have been consumed, and nobody knows how many: the target
doubles. It is halved as long as there is nothing to publish: the next mailing may meet a slower provider.

`now` is in seconds on a clock that never steps back.
"""

LEAST, MOST = 2, 250
AHEAD = 0.5
SOONEST, LATEST = 0.02, 0.25
"""Seconds until the next look, at least and at the most."""

SPARE = 0.75
"""What is to be left of the target at the next look: consumption may be much faster than when it was measured."""

_SPAN = 0.2  # seconds over which consumption is measured


class Backlog:
    def __init__(self) -> None:
        self._target = float(LEAST)
        self._depth = 0
        self._room = 0
        self._published = 0
        self._pace: float | None = None  # jobs consumed per second
        self._since: float | None = None
        self._consumed = 0

    def room(self, depth: int, now: float) -> int:
        """How many jobs to publish now, given how many wait on the broker."""
        if depth == 0 and self._published:
            self._target = min(self._target * 2, MOST)
            self._forget()
        elif self._room and not self._published:
            self._target = max(self._target / 2, LEAST)
            self._forget()
        else:
            self._measure(self._depth + self._published - depth, now)
            if self._pace is not None:
                wanted = min(max(self._pace * AHEAD, LEAST), MOST)
                self._target = max(wanted, self._target * 0.9)
        self._depth, self._room, self._published = depth, max(0, int(self._target) - depth), 0
        return self._room

    def published(self, jobs: int) -> None:
        self._published += jobs

    def pause(self) -> float:
        """Seconds until a part of what waits is likely to be gone."""
        if self._pace is None:
            return SOONEST
        spare = self._depth + self._published - self._target * SPARE
        return min(max(spare / self._pace, SOONEST), LATEST) if self._pace else LATEST

    def _measure(self, consumed: int, now: float) -> None:
        """consumed: less than none where retries came back."""
        if self._since is None:
            self._since = now
            return
        self._consumed += max(0, consumed)
        span = now - self._since
        if span >= _SPAN:
            latest = self._consumed / span
            self._pace = latest if self._pace is None else (self._pace + latest) / 2
            self._since, self._consumed = now, 0

    def _forget(self) -> None:
        self._pace, self._since, self._consumed = None, None, 0
