"""Lines that repeat themselves: the first few of a kind are shown, the others are counted. Pure.

    who      what                     shown in ten seconds
    a        GET /clients/ 429        line, line, line, line, line … and at their end: line, repeated=15995

A kind is what somebody does. So many kinds are told apart, and no more: lines of further ones count together, by what
was done, whoever did it. So neither one who asks without end nor a crowd of thousands fills the log or the memory, and
how often something happened is never lost.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

LIMIT = 5  # lines of a kind in a window
WINDOW = 10.0  # seconds
MOST = 500  # kinds in a window

_OTHERS = object()

Line = TypeVar("Line")


@dataclass(slots=True)
class _Kind(Generic[Line]):
    """hidden: the last line that was not shown."""

    until: float
    lines: int = 0
    hidden: Line | None = None


class Thinning(Generic[Line]):
    def __init__(self, limit: int = LIMIT, window: float = WINDOW, most: int = MOST) -> None:
        self._limit, self._window, self._most = limit, window, most
        self._kinds: dict[Hashable, _Kind[Line]] = {}  # those whose window began first come first
        self._over: list[_Kind[Line]] = []

    def shows(self, who: Hashable, what: Hashable, line: Line, now: float) -> bool:
        """Whether to show the line; if not, it is counted.

        Args:
            what: of few values, since they are told apart however many there are.
            now: in seconds, never less than before.
        """
        self._close_windows(now)
        key: Hashable = (who, what)
        if key not in self._kinds and len(self._kinds) >= self._most:
            key = (_OTHERS, what)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(now + self._window)
        kind.lines += 1
        if kind.lines <= self._limit:
            return True
        kind.hidden = line
        return False

    def repeated(self, now: float) -> Iterator[tuple[Line, int]]:
        """The kinds whose window is over: the last line of each that was not shown, and how many were not."""
        self._close_windows(now)
        over, self._over = self._over, []
        return ((kind.hidden, kind.lines - self._limit) for kind in over if kind.hidden is not None)

    def rest(self) -> Iterator[tuple[Line, int]]:
        """The same of all kinds, for one who ends."""
        return self.repeated(float("inf"))

    def _close_windows(self, now: float) -> None:
        while self._kinds:
            key = next(iter(self._kinds))
            if self._kinds[key].until > now:
                return
            self._over.append(self._kinds.pop(key))
