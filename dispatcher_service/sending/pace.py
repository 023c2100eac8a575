"""The pace of a provider: how many calls a second one dispatcher begins, found out by what the provider answers. Pure.

Until the provider says for the first time that it is too much, only the calls in flight are bounded, by what it has
answered so far and by how many were in flight lately. From then on calls begin at a pace, which falls below what was
just taken whenever it is too much again, and rises in between.

`now` is in seconds on a clock that never steps back.
"""

from collections import deque
from dataclasses import dataclass
from math import ceil, exp2, inf

from shared.domain.message import Error
from shared.domain.retry import Outcome, OutcomeKind

FIRST_CALLS = 4
"""Calls in flight before the first answer. Each answer that takes or refuses a message allows one more, if half of
those that were allowed had been made. And the pace after the first fall, at least: what was taken may not be answered
yet."""

AFTER_REST, HALVED = 20, 0.25
"""Of calls in flight that are allowed and not made, half are allowed after so many seconds; down to so many. What was
answered long ago says nothing about how many the provider takes at once: a dispatcher that has had little to do for a
day would begin with all its calls at a time, and get a 429 for nearly each of them."""

RESTED = 0.25
"""Seconds without a call in flight after which it is asked anew how much the provider takes."""

TOLERATED, TOLERATED_FIRST, TOLERATED_MOST = 0.03, 5.0, 10.0
"""So many 429 for each call that was taken are no reason to fall; so many at first, and so many saved up. A provider
that answers a few with 429 whatever the pace is would be brought to a standstill else: each fall is 10 %, and a second
without one makes up for 1 %."""

FALL = 0.9
"""Of what the provider took in the last second, after it said that it was too much."""

RISE_KNOWN, RISE_BEYOND = 1.5, 1.01
"""By how much the pace rises a second: up to where the provider was last seen to take it all, and beyond."""

FORGET = 0.7
"""What is known falls by no more at once: a provider that has begun to refuse everything has taken little as well."""

LEAST = 0.2
"""Calls a second. So soon it is noticed that a provider takes something again that has refused everything."""

LONGEST_STOP = 60.0
"""Seconds for which a Retry-After is believed, as it concerns all messages. Asking once a minute costs nothing."""

AT_ONCE = 0.25
"""Seconds that a call takes at the most, where more are made ready than may be in flight."""

LIMITED = 60.0
"""Seconds after a fall in which the provider is said to be the limit."""

AGAIN = 50
"""After an outage the pace begins at so small a part of what it was, and is back within 10 s (1.5 ** 10 is 57)."""

_SPAN, _ANSWERS = 1.0, 10
"""What is measured: the last second, or as long as the last ten answers took."""

_SHORTEST = 0.001
"""Seconds that a call takes at least, where it is asked how many may follow each other."""

_SLACK = 0.05
"""Seconds by which calls may lag behind the pace and catch up: a turn of the loop."""


@dataclass(slots=True)
class _Moment:
    """Answers within a tenth of a second."""

    at: float
    answers: int = 0
    taken: int = 0


class Pace:
    """Of one dispatcher. A provider that serves several is found out by each of them for itself."""

    def __init__(self) -> None:
        self.per_second = inf
        """Calls that may begin a second; `inf` until the provider has said for the first time that it is too much."""
        self._known = inf  # the pace that the provider was last seen to take
        self._window = float(FIRST_CALLS)  # calls in flight that were allowed
        self._used_at = -inf  # when half of them were made
        self._lasted = inf  # seconds that the last call took that was answered
        self._tolerated = TOLERATED_FIRST  # 429 that are no reason to fall
        self._again_at: float | None = None  # when a breaker closed
        self._next_at = 0.0  # when the next call may begin
        self._fell_at = -inf
        self._moments: deque[_Moment] = deque()

    def allowed(self, now: float, calls_open: int) -> int:
        """How many calls may begin now."""
        if self.per_second == inf:
            self._see(calls_open, now)
            return max(0, self._most(now) - calls_open)
        if now < self._next_at:
            return 0
        return 1 + int(min(now - self._next_at, _SLACK) * self.per_second)

    def ahead(self, now: float, calls_open: int, seconds: float) -> int:
        """How many calls may begin within so many seconds, as far as is known now: where answers come at once, many
        more than may be in flight. Where they do not, what is claimed beyond these might wait for too long, and go back
        unsent."""
        if self.per_second == inf:
            beyond = seconds / self._lasted if self._lasted <= AT_ONCE else 0.0
            return max(0, int(self._most(now) * (1 + beyond)) - calls_open)
        return max(0, ceil((now + seconds - max(self._next_at, now)) * self.per_second))

    def _most(self, now: float) -> int:
        """Calls in flight."""
        most = self._allowed_at(now)
        if self._again_at is None:
            return int(most)
        return int(most * 2 ** min(now - self._again_at, 20.0))  # also where an answer takes longer than 10 s

    def pause(self, now: float, calls_open: int) -> float:
        """Seconds until another call may begin, as far as time decides that; `inf` where an answer does."""
        if self.per_second == inf:
            return 0.0 if calls_open < self._most(now) else inf
        return max(0.0, self._next_at - now)

    def _allowed_at(self, now: float) -> float:
        least = min(self._window, AFTER_REST)
        return least + (self._window - least) * exp2((self._used_at - now) / HALVED)

    def _see(self, calls_open: int, now: float) -> None:
        if 2 * calls_open >= self._window:
            self._used_at = now
        elif 2 * calls_open >= (allowed := self._allowed_at(now)):
            self._window, self._used_at = allowed, now

    def begin(self, now: float, calls_open: int) -> None:
        """A call begins. calls_open: with it."""
        if self.per_second == inf:
            self._see(calls_open, now)
            if calls_open == 1 and self._moments and now > self._moments[-1].at + RESTED:
                self._moments.clear()  # what was taken before the rest says nothing about what is taken after it
            return
        if (
            now - self._next_at < _SLACK
        ):  # else the pace was not used up, and says nothing about what the provider takes
            rise = RISE_KNOWN if self.per_second < self._known else RISE_BEYOND
            self.per_second *= rise ** (1 / self.per_second)
        self._next_at = max(self._next_at, now - _SLACK) + 1 / self.per_second

    def end(self, now: float, calls_open: int) -> None:
        """A call ends, before `observe`. calls_open: with it. While answers are slow nobody looks, and what was in
        flight until now was no rest."""
        if self.per_second == inf:
            self._see(calls_open, now)

    def observe(self, outcome: Outcome, started: float, now: float) -> bool:
        """An answer, or that there was none; whether the pace falls. started: when its call was begun."""
        if outcome.kind is OutcomeKind.LIMITED:
            self._count(now, taken=0)
            if started > self._fell_at and now >= self._fell_at + _SPAN:  # else it is about what was before
                self._tolerated -= 1
                if self._tolerated < 0:
                    self._fall(outcome.retry_after, now)
                    return True
        elif outcome.is_served or outcome.error not in _NO_ANSWER:
            self._count(now, taken=1)
            self._tolerated = min(self._tolerated + TOLERATED, TOLERATED_MOST)
            self._lasted = max(now - started, _SHORTEST)
            if outcome.is_served and started <= self._used_at:
                self._window += 1
        return False

    def is_limited(self, now: float) -> bool:
        """Whether the provider has said lately that it is too much."""
        return self._fell_at >= now - LIMITED

    def resume(self, now: float) -> None:
        """The provider was down and answers again: a breaker closed."""
        self._window, self._again_at = float(FIRST_CALLS), now
        if self.per_second < inf:
            self._next_at = now
            self.per_second = max(LEAST, min(self.per_second, max(self._known, self.per_second) / AGAIN))

    def _count(self, now: float, taken: int) -> None:
        if not self._moments or now >= self._moments[-1].at + 0.1:
            self._moments.append(_Moment(now))
            self._drop(now)
        self._moments[-1].answers += 1
        self._moments[-1].taken += taken

    def _drop(self, now: float) -> None:
        answers = sum(moment.answers for moment in self._moments)
        while self._moments[0].at < now - _SPAN and (answers := answers - self._moments[0].answers) >= _ANSWERS:
            self._moments.popleft()

    def _fall(self, retry_after: float, now: float) -> None:
        """Below what was just taken; where nothing was, something else is the matter, and what is known stays so."""
        taken = FALL * self._taken(now)
        if taken and self.per_second < inf:
            before = self.per_second if self._known == inf else self._known
            self._known = max(taken, FORGET * before)
        self.per_second = max(taken, FIRST_CALLS if self.per_second == inf else LEAST)
        self._tolerated = 0.0
        self._fell_at, self._next_at = now, now + min(retry_after, LONGEST_STOP)

    def _taken(self, now: float) -> float:
        """Calls a second. Once there is a pace it is its part, as neither a stop nor a rest nor the time that an answer
        takes falsify that."""
        taken = sum(moment.taken for moment in self._moments)
        if self.per_second == inf:
            return taken / max(_SPAN, now - self._moments[0].at)
        return self.per_second * taken / sum(moment.answers for moment in self._moments)


_NO_ANSWER = (Error.UNREACHABLE, Error.TIMED_OUT, Error.CONNECTION_LOST)
