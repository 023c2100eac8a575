"""What one dispatcher has reserved of the wire, and when it asks for more. Pure.

Seconds on a clock that never steps back.
"""

from collections import deque
from collections.abc import Callable, Sequence

LATE = 0.25
"""Seconds for which a moment that was not used goes out with the next claim. Then it is lost: whoever was held up
would send everything at once."""

SHORTEST, LONGEST = 0.05, 2.5
"""Seconds at random, at the most, by which one that found the wire taken asks later than when it is free. They grow
with each time that somebody else was faster: fifty dispatchers ask 65 times a second, two ask 10 times."""

_WIDER = 1.5


class Allowance:
    """Belongs to one thread."""

    def __init__(self, random: Callable[[], float]) -> None:
        """random: gives numbers from 0 to less than 1."""
        self._random = random
        self._moments: deque[float] = deque()
        self._ask_at = 0.0
        self._jitter = SHORTEST

    def left(self, now: float) -> int:
        """How many messages may be claimed now."""
        while self._moments and self._moments[0] < now - LATE:
            self._moments.popleft()
        return len(self._moments)

    def asks(self, now: float) -> bool:
        """Whether it is time to ask for more."""
        return not self.left(now) and now >= self._ask_at

    def got(self, messages: int, wait: float, gap: float, now: float) -> None:
        """What was reserved just now: `shared.rates.limits.Reserved`."""
        if messages:
            self._moments.extend(now + wait + number * gap for number in range(messages))
            self._jitter = SHORTEST
        else:
            self._ask_at = now + wait + self._random() * self._jitter
            self._jitter = min(self._jitter * _WIDER, LONGEST)

    def use(self, messages: int) -> Sequence[float]:
        """The moments at which so many may go out, of those that are left. One that has passed is now."""
        return [self._moments.popleft() for _ in range(messages)]
