"""How many dispatchers there should be: so many that all mailings meet their ends. Pure.

How many messages wait says nothing of it: a million that have a week are no reason for a second dispatcher, and ten
thousand that have a minute are one for twenty. So what decides is what each mailing still has to send, how long it has
for that, and how fast a dispatcher was seen to be while it had all it could do.
"""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import NamedTuple

LEAST = 2
"""One may be lost at any moment."""

MOST = 1_000

SOONEST = 60.0
"""Seconds until one that is asked for now sends something: what ends earlier counts as if it had so long."""

FOR_ENDS = 0.8
"""The part of the pace that is reckoned with: a tenth goes round among all mailings, whatever their ends, and another
one is kept for what goes wrong."""

PATIENCE = 900.0
"""Seconds after which somebody who is due and was not sent to is a reason for one dispatcher more."""

BUSY = 5.0
"""Seconds that somebody has to be due before it is taken for sure that the dispatchers have all they can do."""

LATEST = 0.2
"""The weight of what was seen last."""


class Demand(NamedTuple):
    """What a mailing still has to send, and for how many seconds until its end it may."""

    messages: int
    seconds: float


class Dispatchers(NamedTuple):
    """Those that are alive. pace: of one, in messages per second, while it has all it can do; None: nobody has seen it.
    is_held_up: a limit or the provider decides how fast messages go out, or whether they do: more dispatchers change
    nothing. oldest: for how many seconds the one has been due who is due for longest; 0: nobody is."""

    alive: int
    pace: float | None = None
    is_held_up: bool = False
    oldest: float = 0.0


def needed_pace(demands: Iterable[Demand]) -> float:
    """Messages per second with which every end is met, if those with the nearest end go first: for each end, what has
    to be gone by then and how long that may take."""
    messages, pace = 0, 0.0
    for demand in sorted(demands, key=lambda one: one.seconds):
        messages += demand.messages
        pace = max(pace, messages / max(demand.seconds, SOONEST))
    return pace


def wanted(demands: Iterable[Demand], dispatchers: Dispatchers) -> int:
    """How many there should be."""
    needed = needed_pace(demands)
    number = dispatchers.alive if needed else 0
    if dispatchers.pace:
        number = ceil(needed / (dispatchers.pace * FOR_ENDS))
    if dispatchers.oldest > PATIENCE:
        number = max(number, dispatchers.alive + 1)
    if dispatchers.is_held_up:
        number = min(number, dispatchers.alive)
    return min(max(number, LEAST), MOST)


class PaceOfOne:
    """The pace of one dispatcher while it has all it can do, as it was seen last. None: not yet."""

    def __init__(self) -> None:
        self.value: float | None = None

    def see(self, paces: Sequence[float], *, is_busy: bool) -> None:
        """paces: of those that are alive. is_busy: they have all they can do. If not, a pace says only that they can be
        as fast as that."""
        at_work = [pace for pace in paces if pace > 0]
        if not at_work:
            return
        mean = sum(at_work) / len(at_work)
        if self.value is None:
            self.value = mean
        elif is_busy:
            self.value += LATEST * (mean - self.value)
        else:
            self.value = max(self.value, mean)
