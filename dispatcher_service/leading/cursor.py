"""How far the leader has read what is due of a lane, and what of it was published lately. Pure.

Reading goes on behind the last row that was read, in the order of (due_at, id), so that what is on the broker already
is not read again and again. That is a saving and never a promise: a commit may become visible behind the cursor, a job
may be lost. So a look begins behind it once a second, and one at the start every half minute, and they leave out what
was published in the last seconds. What they find has waited no longer than that.

`ticks` are seconds on a clock that never steps back; times are the database's.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from shared.domain.due import Group, Position

LOOK_EVERY = 1.0
LOOK_BACK = timedelta(seconds=15)
"""Longer than any transaction that writes lasts: what it makes due bears the time at which it began."""

RESTART_EVERY = 30.0
"""Seconds after which reading begins at the start again: a job that was lost costs no more than that."""

REMEMBERED = 10.0
"""Seconds for which an id is not published again, unless it is due anew. A job that is older is acked unread."""

SETTLED = 1.0
"""Seconds after which an id that was published, and that somebody asks to be looked at, is published again."""


class _Published(NamedTuple):
    """due_at: by the database's clock. at: when it was published, in ticks."""

    due_at: datetime | None
    at: float


_NEVER = _Published(None, inf)


class Cursor:
    """Of one lane of a mailing."""

    def __init__(self) -> None:
        self._position: Position | None = None
        self._published: dict[int, _Published] = {}  # lately, by id
        self._batches: deque[tuple[_Published, Sequence[int]]] = deque()  # the same, the oldest first
        self._read_at: datetime | None = None
        self._looked_at: datetime | None = None  # the database's time at the last look
        self._next_look = 0.0
        self._next_restart = 0.0
        self._rests_until = 0.0

    def begin(self, ticks: float) -> Position | None:
        """Behind what to read now; None: from the start."""
        while self._batches and self._batches[0][0].at <= ticks - REMEMBERED:
            published, ids = self._batches.popleft()
            for message_id in ids:
                if self._published.get(message_id) is published:
                    del self._published[message_id]
        if ticks >= self._next_restart:
            self._position = None
            self._next_restart = ticks + RESTART_EVERY
            self._look(ticks)
        elif ticks >= self._next_look:
            if self._position and self._looked_at:
                self._position = min(self._position, Position(self._looked_at - LOOK_BACK, 0))
            self._look(ticks)
        return self._position

    def _look(self, ticks: float) -> None:
        """From now on everything is read that was made due after the last look began, or shortly before."""
        self._next_look = ticks + LOOK_EVERY
        self._looked_at = self._read_at

    def advance(self, groups: Sequence[Group], now: datetime, ticks: float) -> list[Group]:
        """What is to be published of what was read.

        Args:
            groups: in the order of their times.
            now: the database's time, at which they were due.
            ticks: the same moment.
        """
        fresh = []
        for group in groups:
            due_at, known = group.due_at, self._published.get
            ids = [message_id for message_id in group.ids if known(message_id, _NEVER).due_at != due_at]
            if ids:
                fresh.append(Group(due_at, ids))
                published = _Published(due_at, ticks)
                self._published.update(dict.fromkeys(ids, published))
                self._batches.append((published, ids))
        if groups:
            self._position = Position(groups[-1].due_at, groups[-1].ids[-1])
        if self._read_at and now < self._read_at:  # the clock went back: what is due now lies before the cursor
            self._position, self._next_look = None, ticks
        self._read_at = now
        self._looked_at = self._looked_at or now
        return fresh

    def rest(self, until: float) -> None:
        """There is nothing left behind the cursor: it need not be read before that, in ticks."""
        self._rests_until = until

    def is_resting(self, ticks: float) -> bool:
        return ticks < min(self._rests_until, self._next_look)

    def wake(self, message_ids: Sequence[int], ticks: float) -> None:
        """These are worth a look now, those of them that were published more than a moment ago included."""
        self._rests_until = 0.0
        known = self._published.get
        settled = [message_id for message_id in message_ids if known(message_id, _NEVER).at <= ticks - SETTLED]
        for message_id in settled:
            self._published.pop(message_id, None)
        if settled:
            self._position = None
