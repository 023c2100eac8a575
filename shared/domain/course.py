"""How fast the messages of a mailing came to an end, told by some moments of it. Pure.

The longer a mailing goes on, the more seldom a moment is noted: so many as `MOST` say enough to whoever looks at all of
it, and what is noted in years stays little.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

STEPS = tuple(timedelta(seconds=each) for each in (10, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800))
"""From one moment to the next. Each is a multiple of the one before."""

MOST = 100
"""Steps of one length, for as long as there is a longer one."""


LEAST = 2 * STEPS[0]
"""What takes less has one bar, which says no more than its figures do."""


class Moment(NamedTuple):
    """accepted, failed: messages that had been accepted by then, or had ended otherwise after a call, in all."""

    at: datetime
    accepted: int
    failed: int


class Bar(NamedTuple):
    """accepted, failed: messages that were accepted, or ended otherwise after a call, in so many seconds."""

    at: datetime
    accepted: int
    failed: int
    seconds: float

    @property
    def pace(self) -> float:
        """Messages a second."""
        return (self.accepted + self.failed) / self.seconds


class Course(NamedTuple):
    """step: how long each bar lasts; the last one only until `until`. bars: those in which nothing moved as well."""

    step: timedelta
    bars: Sequence[Bar]
    until: datetime


def step(age: timedelta) -> timedelta:
    """Of a mailing that goes on for so long."""
    return next((each for each in STEPS if age <= MOST * each), STEPS[-1])


def course(moments: Sequence[Moment], began: datetime | None) -> Course | None:
    """moments: in their order, the last one of now or of its end. began: when the first message was accepted, if one
    was. None: there is nothing to be drawn, since no call has ended a message, or all of it took a moment."""
    if not moments or not any(moments[-1][1:]):
        return None
    first = moments[0].at - STEPS[0] if began is None or began >= moments[0].at else began
    known = _without_slopes(first, moments)
    until = known[-1].at
    if until - first < LEAST:
        return None
    width = step(until - first)
    sums = [_at(min(first + width * number, until), known) for number in range(-((first - until) // width) + 1)]
    bars = [
        Bar(one.at, after.accepted - one.accepted, after.failed - one.failed, (after.at - one.at).total_seconds())
        for one, after in pairwise(sums)
    ]
    return Course(width, bars, until)


def _without_slopes(first: datetime, moments: Sequence[Moment]) -> list[Moment]:
    """Nothing is noted while nothing moves: what moved did so in the last step before a moment. Of what was there
    before the first one nobody knows when."""
    found = [Moment(first, 0, 0), moments[0]]
    for one in moments[1:]:
        before, last_step = found[-1], step(one.at - first)
        if one.at - before.at > 2 * last_step:
            found.append(before._replace(at=one.at - last_step))
        if one.at > found[-1].at:
            found.append(one)
    return found


def _at(moment: datetime, known: Sequence[Moment]) -> Moment:
    """Between two that are known it is taken to be even."""
    after = next(number for number, one in enumerate(known) if one.at >= moment)
    if not after:
        return known[0]
    low, high = known[after - 1], known[after]
    part = (moment - low.at) / (high.at - low.at)
    return Moment(
        moment,
        round(low.accepted + part * (high.accepted - low.accepted)),
        round(low.failed + part * (high.failed - low.failed)),
    )
