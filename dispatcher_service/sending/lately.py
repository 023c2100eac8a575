"""How a provider did in the last seconds: calls, those that failed, and how long they took. Pure.

`now` is in seconds on a clock that never steps back.
"""

from collections import deque
from dataclasses import dataclass

from shared.domain.retry import Outcome, OutcomeKind

SPAN = 10.0
"""Seconds that are looked back."""

_STEP = 1.0  # what is counted together

_FAILED = (OutcomeKind.TRANSIENT, OutcomeKind.UNAUTHORIZED, OutcomeKind.AMBIGUOUS)


@dataclass(slots=True)
class _Second:
    at: float
    calls: int = 0
    failed: int = 0
    seconds: float = 0.0


class Lately:
    """Of one dispatcher. What the provider refuses, or says it is too much, is no failure of its."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque()

    def count(self, outcome: Outcome, lasted: float, now: float) -> None:
        """A call has ended that took so many seconds."""
        if not self._seconds or now >= self._seconds[-1].at + _STEP:
            self._forget(now)
            self._seconds.append(_Second(now))
        latest = self._seconds[-1]
        latest.calls += 1
        latest.seconds += lasted
        if outcome.kind in _FAILED:
            latest.failed += 1

    def sums(self, now: float) -> tuple[int, int, float]:
        """Calls that ended, how many of them failed, and how many seconds all of them took. For any thread."""
        lately = [one for one in tuple(self._seconds) if one.at >= now - SPAN]
        return sum(one.calls for one in lately), sum(one.failed for one in lately), sum(one.seconds for one in lately)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0].at < now - SPAN:
            self._seconds.popleft()
