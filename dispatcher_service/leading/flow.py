"""How much of each lane is fed: no more than its providers take, where they are full. Pure.

Else what a slow one cannot take would fill the broker, and the hands of all dispatchers, and what others may take would
stand behind it.

`now` is in seconds on a clock that never steps back.
"""

from collections.abc import Mapping
from math import inf

SPARE = 1.5
"""Times what is sent a second: so much is fed of what is full, so that it can become faster."""

LEAST = 20.0
"""Messages a second, whatever is sent."""

SAVED = 1.0
"""Seconds for which what was not fed is saved up."""


class Flow:
    """Of all lanes, as one leader feeds them."""

    def __init__(self) -> None:
        self._rates: Mapping[int, float] = {}
        self._left: dict[int, float] = {}
        self._at = 0.0

    def see(self, speeds: Mapping[int, float]) -> None:
        """speeds: messages per second of the lanes that are full; all others are fed as fast as may be."""
        self._rates = {lane: LEAST + SPARE * speed for lane, speed in speeds.items()}
        self._left = {lane: self._left.get(lane, rate * SAVED) for lane, rate in self._rates.items()}

    def room(self, lane: int, now: float) -> float:
        """How many messages of a lane may be fed now; `inf`: any number."""
        if now > self._at:
            for each, rate in self._rates.items():
                self._left[each] = min(rate * SAVED, self._left[each] + rate * (now - self._at))
            self._at = now
        return self._left.get(lane, inf)

    def take(self, lane: int, messages: int) -> None:
        """So many were fed."""
        if lane in self._left:
            self._left[lane] -= messages
