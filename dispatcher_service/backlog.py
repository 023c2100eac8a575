"""How many jobs the feeder keeps waiting on the broker. Pure.

As few as keep the dispatchers busy: what waits there is out of reach of a pause, a cancel, and a mailing that is more
urgent. How few that is depends on the provider's speed, so it is found out: the target doubles when the queue ran dry
although something had been published, shrinks while more than half of it lies there, and is halved as long as there is
nothing to publish: the next mailing may meet a slower provider.
"""

LEAST, MOST = 2, 250


class Backlog:
    def __init__(self) -> None:
        self._target = float(LEAST)
        self._room = 0
        self._published = 0

    def room(self, depth: int) -> int:
        """How many jobs to publish now, given how many wait on the broker."""
        if depth == 0 and self._published:
            self._target = min(self._target * 2, MOST)
        elif depth > self._target / 2:
            self._target = max(self._target * 0.9, LEAST)
        elif self._room and not self._published:
            self._target = max(self._target / 2, LEAST)
        self._room, self._published = max(0, int(self._target) - depth), 0
        return self._room

    def published(self, jobs: int) -> None:
        self._published += jobs
