"""What one dispatcher has reserved of the wire, and when it asks for more. Pure.

Seconds on a clock that never steps back.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import ceil

LATE = 0.25
"""Seconds for which a moment that was not used goes out with the next claim. Then it is lost: whoever was held up
would send everything at once."""

SOON = 0.25
"""`shared.rates.limits.SOON`, in seconds: the wire is reserved no earlier."""

SHORTEST_TURN = 0.05
"""What is reserved at a time is a job, which is this dispatcher's part of what all of them send; or so many seconds of
the rate, if that is more: a turn costs a statement."""

REST = 0.95
"""Whoever had a turn leaves the wire to the others for so long, of the time that lay between its last turns; of as much
less as a whole turn is worth less. So those who have waited longest ask nearly alone, and nobody who has urgent
messages in hand is passed over again and again."""

POLITE = 0.1
"""And for so many seconds after the wire may be reserved again, in which others may find it free."""

SHORTEST, LONGEST = 0.1, 1.0
"""Seconds at random, at the most, by which one that found the wire taken asks later than when it is free. They grow
with each time that somebody else was faster, up to PART of the time between its turns: fifty dispatchers ask some 80
times a second, ten 25 times, two 10 times."""

PART = 0.75
_WIDER = 3.0
_LONGEST_REST = 10.0
_IDLE = 1.0  # seconds without a question after which a dispatcher has wanted nothing meanwhile


class Allowance:
    """Belongs to one thread. `asks` is to be asked as often as there is something to claim."""

    def __init__(self, random: Callable[[], float]) -> None:
        """random: gives numbers from 0 to less than 1."""
        self._random = random
        self._moments: deque[float] = deque()
        self._ask_at = 0.0
        self._jitter = SHORTEST
        self._asked_at = 0.0
        self._turn_at: float | None = None  # the last turn; None: since then nothing was wanted for a while
        self._between = 0.0  # seconds from one turn to the next, as it was lately
        self._whole = self._had_whole = 1  # messages that a turn is worth where as many are wanted; at the last one
        self._is_alone = False  # the wire lay idle at the last turn: nobody else wants it

    def left(self, now: float) -> int:
        """How many messages may be claimed now."""
        while self._moments and self._moments[0] < now - LATE:
            self._moments.popleft()
        return len(self._moments)

    @property
    def reserved(self) -> int:
        """How many messages there are moments for, late ones included."""
        return len(self._moments)

    def asks(self, now: float) -> bool:
        """Whether it is time to ask for more."""
        if now - self._asked_at > _IDLE:
            self._turn_at = None
        self._asked_at = now
        return not self.left(now) and now >= self._ask_at

    def worth(self, wanted: int, job: int, rate: float) -> int:
        """How many of the messages that are wanted to reserve in this turn. job: messages of a whole one. rate: that of
        the least limit."""
        self._whole = max(job, ceil(rate * SHORTEST_TURN))
        return wanted if self._is_alone else min(wanted, self._whole)

    def got(self, messages: int, wait: float, gap: float, now: float) -> None:
        """What was reserved just now: `shared.rates.limits.Reserved`."""
        if messages:
            self._moments.extend(now + wait + number * gap for number in range(messages))
            self._take_turn(wait, wait + messages * gap - SOON, now)
        else:
            self._ask_at = now + wait + self._random() * self._jitter
            widest = PART * self._between if self._between else LONGEST
            self._jitter = min(self._jitter * _WIDER, max(SHORTEST, widest))

    def _take_turn(self, wait: float, until_free: float, now: float) -> None:
        self._is_alone = wait <= 0
        if self._is_alone:
            self._between /= 2
        elif self._turn_at is not None:
            self._between = min((self._between + now - self._turn_at) / 2, _LONGEST_REST)
            # Jobs become smaller when more dispatchers are known, and turns then come sooner.
            self._between *= min(1.0, self._whole / self._had_whole)
        self._turn_at, self._had_whole, self._jitter = now, self._whole, SHORTEST
        self._ask_at = now + max(REST * self._between, until_free + POLITE)

    def use(self, messages: int) -> Sequence[float]:
        """The moments at which so many may go out, of those that are left. One that has passed is now."""
        return [self._moments.popleft() for _ in range(messages)]
