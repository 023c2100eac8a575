"""The built-in provider, through which tests go: it plays what their phones say, and nothing leaves the process.

What it is offered comes back as from the sender, so results are recorded, held against messages and tried again by the
same code. It has no breaker, no pace and no limit: it is never down, and a message that it fails with is to blame for
it. A call that is slow waits in a heap and takes nobody's place.
"""

import threading
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from dispatcher_service.sending.attempt import Attempt, Result
from dispatcher_service.sending.blame import blame
from dispatcher_service.sending.played import play
from shared.clock import ticks
from shared.domain.message import Error
from shared.domain.retry import Outcome, OutcomeKind

_GIVEN_UP = Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT)


class _Open(NamedTuple):
    """A call under way. ends: when. number: of the call, by which those that end together differ."""

    ends: float
    number: int
    attempt: Attempt
    outcome: Outcome


class BuiltIn:
    """`run` in a thread of its own; `deliver` is called from it, and after the stop from any."""

    def __init__(self, deliver: Callable[[Sequence[Result]], None]) -> None:
        self._deliver = deliver
        self._changed = threading.Condition()  # and the lock of what follows
        self._offered: list[Attempt] = []
        self._stop_at: float | None = None  # calls that are open then are given up
        self._open: list[_Open] = []  # a heap; of the thread alone
        self._numbers = count()
        self._stopped = threading.Event()

    # ---- from other threads

    def offer(self, attempts: Sequence[Attempt]) -> None:
        """Takes attempts over; every one of them comes back as a Result, exactly once."""
        with self._changed:
            if self._stop_at is None:
                self._offered.extend(attempts)
                self._changed.notify()
                return
        now = ticks()
        self._deliver([Result(attempt, None, now) for attempt in attempts])

    def stop(self, within: float) -> None:
        """Begins nothing any more; calls that are open after `within` seconds are given up."""
        with self._changed:
            self._stop_at = ticks() + within
            self._changed.notify()

    def join(self, timeout: float) -> bool:
        """Waits until everything has come back."""
        return self._stopped.wait(timeout)

    # ---- the thread's own

    def run(self) -> None:
        try:
            while (offered := self._next_offered()) is not None:
                now = ticks()
                if results := [*self._begin(offered, now), *self._end(now)]:
                    self._deliver(results)
        finally:
            self._stopped.set()

    def _next_offered(self) -> Sequence[Attempt] | None:
        """What came in, as soon as there is something to do; None: it is told to stop, and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._offered or self._stop_at is not None, self._patience())
            if self._stop_at is not None and self._open:
                self._changed.wait(max(0.0, min(self._open[0].ends, self._stop_at) - ticks()))
            offered, self._offered = self._offered, []
            return offered if offered or self._open or self._stop_at is None else None

    def _patience(self) -> float | None:
        return max(0.0, self._open[0].ends - ticks()) if self._open else None

    def _begin(self, attempts: Sequence[Attempt], now: float) -> Sequence[Result]:
        """What may not be begun any more comes back at once."""
        returned: list[Result] = []
        for attempt in attempts:
            outcome, seconds, _ = play(attempt.message.phone)
            if self._stop_at is not None or now >= attempt.start_by or now + seconds > attempt.lease_until:
                returned.append(Result(attempt, None, now))
            else:
                heappush(self._open, _Open(now + seconds, next(self._numbers), attempt, outcome))
        return returned

    def _end(self, now: float) -> Sequence[Result]:
        """The calls whose end has come."""
        ended: list[Result] = []
        is_over = self._stop_at is not None and now >= self._stop_at
        while self._open and (is_over or self._open[0].ends <= now):
            call = heappop(self._open)
            outcome = call.outcome if call.ends <= now else _GIVEN_UP
            ended.append(Result(call.attempt, outcome, now, blame(outcome, serves=True)))
        return ended
