"""A running Sender with everything that it has delivered."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from types import TracebackType
from typing import Self

from dispatcher_service.sending.attempt import Attempt, DatabaseClock, Result
from dispatcher_service.sending.breaker import Breaker
from dispatcher_service.sending.dialect import Dialect
from dispatcher_service.sending.line import Line
from dispatcher_service.sending.pace import Pace
from dispatcher_service.sending.sender import Sender
from shared.clock import ticks
from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome
from shared.messages.claim import Claimed
from tests.support.dialects import seed_dialect

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FAR = 3600.0


def attempt(
    message_id: int,
    *,
    text: str = "Привет",
    not_before: float = 0.0,
    start_by: float = FAR,
    deadline: float = FAR,
    lease: float = FAR,
) -> Attempt:
    """Times in seconds from now."""
    now = ticks()
    ends_at = NOW + timedelta(seconds=deadline)
    message = Claimed(message_id, 1, 1, message_id, 1, 79123456789, text, 0, 0, ends_at, ends_at, repeat=False)
    clock = DatabaseClock(NOW, now)
    return Attempt(message, clock, now + not_before, now + min(start_by, deadline), now + deadline, now + lease)


class Unbreakable(Breaker):
    """Never opens."""

    def observe(self, outcome: Outcome, started: float, now: float) -> None:
        pass


class Unpaced(Pace):
    """Of a provider that has been up for long and has taken much: it bounds no calls in flight before that one says
    that it is too much, and many after it."""

    def __init__(self) -> None:
        super().__init__()
        for _ in range(_TAKEN):
            self.observe(ACCEPTED, 0.0, 0.0)

    def allowed(self, now: float, calls_open: int) -> int:
        return _MANY if self.per_second == inf else super().allowed(now, calls_open)

    def ahead(self, now: float, calls_open: int, seconds: float) -> int:
        return _MANY if self.per_second == inf else super().ahead(now, calls_open, seconds)

    def pause(self, now: float, calls_open: int) -> float:
        return 0.0 if self.per_second == inf else super().pause(now, calls_open)


_MANY, _TAKEN = 100_000, 5_000


class Sending:
    """A Sender in a thread of its own, for the length of a `with` block."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        timeout: float = 10.0,
        concurrency: int = 50,
        dialect: Dialect | None = None,
        breaker: Breaker | None = None,
        pace: Pace | None = None,
    ) -> None:
        """breaker, pace: one that never opens and one that holds nothing back, where none is given."""
        self.results: list[Result] = []
        self._came = threading.Condition()
        self.breaker = breaker or Unbreakable()
        spoken = dialect or seed_dialect(url, token, timeout=timeout, concurrency=concurrency)
        self.line = Line(spoken, breaker=self.breaker, pace=pace or Unpaced())
        self.sender = Sender([self.line], deliver=self._take)
        self._thread = threading.Thread(target=self.sender.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sender.stop(within=0)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def offer(self, ids: Iterable[int]) -> None:
        self.sender.offer(self.line, [attempt(message_id) for message_id in ids])

    def wait(self, count: int, timeout: float = 30.0) -> Sequence[Result]:
        """The results, once so many have come in; more or fewer fail the test."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.results) >= count, timeout), self.errors
            assert len(self.results) == count
            return list(self.results)

    def send(self, ids: Iterable[int], timeout: float = 30.0) -> Sequence[Result]:
        """The results of these attempts, offered at once."""
        ids = list(ids)
        before = len(self.results)
        self.offer(ids)
        return self.wait(before + len(ids), timeout)[before:]

    @property
    def errors(self) -> "Counter[Error | str | None]":
        """How often each error came; None: accepted. `not made`: attempts that came back unsent."""
        return Counter(result.outcome.error if result.outcome else "not made" for result in self.results)

    def error(self, message_id: int = 1) -> Error | None:
        """What one call leads to; None: accepted."""
        (result,) = self.send([message_id])
        assert result.outcome is not None
        return result.outcome.error

    def _take(self, results: Sequence[Result]) -> None:
        with self._came:
            self.results.extend(results)
            self._came.notify_all()
