"""Which of the mailings that are due get the room there is on the broker. Pure.

Classes first, and within a class the nearest end; but a tenth goes round among all that are due, one message each, and
no class with something due gets less than a tenth. Who meets their end if the nearest end always goes first, with a
tenth and a few seconds to spare, meets it here, too; and everybody has a first message soon.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple

from shared.domain.priority import Priority

ROUND = 0.1
"""The part of the room that goes round among all that are due, whatever their class and end."""

LEAST = 0.1
"""The part that the nearest end of a class gets, as long as something of it is due, however much the classes before it
could take."""

_AT_ONCE = 100  # lanes that are offered what is left of the room, before it is known what the first of them took
_REMEMBERED = 1_000  # lanes that have nothing due, of which it is known that they had their turn


class Lane(NamedTuple):
    """What is fed apart: a lane of a mailing."""

    mailing_id: int
    lane: int


class Due(NamedTuple):
    """A lane of which messages are due, and that may be fed."""

    mailing_id: int
    lane: int
    priority: Priority
    ends_at: datetime


Take = Callable[[Sequence[Lane], int, int], Sequence[int]]
"""take(lanes, each, most): feeds what is due of these, in this order, at most so many messages of each and so many of
all; says how many of each it was. A lane that gave fewer than it might have has nothing left."""


class FairShare:
    """Belongs to one thread. `see` after every look at what is due, then `feed` as often as there is room."""

    def __init__(self) -> None:
        self._due: dict[Lane, Priority] = {}
        self._ends: dict[Priority, deque[Lane]] = {}  # nearest end first; may have some that have nothing left
        self._line: deque[Lane] = deque()  # whose turn it is in the round; as well
        self._turns: dict[Lane, int] = {}  # when each was served last, the latest one at the end
        self._clock = count(1)
        self._round_owed = 0.0  # messages, as the room of one step may be too small for a tenth of it
        self._owed: dict[Priority, float] = {}

    def see(self, due: Iterable[Due]) -> None:
        """What is due now, whatever was before."""
        ordered = sorted(due, key=lambda lane: (lane.ends_at, lane.mailing_id, lane.lane))
        self._due = {Lane(each.mailing_id, each.lane): each.priority for each in ordered}
        self._ends = {}
        for lane, priority in self._due.items():
            self._ends.setdefault(priority, deque()).append(lane)
        # Who was never served comes first.
        self._line = deque(sorted(self._due, key=lambda lane: self._turns.get(lane, 0)))
        self._owed = {priority: self._owed.get(priority, 0.0) for priority in self._ends}
        self._forget()

    def feed(self, room: int, take: Take, take_turn: Take | None = None) -> int:
        """Shares so many messages out; how many were taken, fewer only where nothing more is due.

        take_turn: takes for those whose turn it is in the round, `take` for the others; None: for all.
        """
        if len(self._due) == 1:  # there is nothing to share, and what is read in two parts costs twice as much
            [priority] = self._due.values()
            return self._nearest(priority, room, take)
        left = room
        self._round_owed, part = _portion(self._round_owed, ROUND * room, left)
        left -= self._go_round(part, take_turn or take)
        classes = [priority for priority in Priority if priority in self._ends]
        for priority in classes[1:]:
            self._owed[priority], part = _portion(self._owed[priority], LEAST * room, left)
            left -= self._nearest(priority, part, take)
        for priority in classes:
            left -= self._nearest(priority, left, take)
        return room - left

    def _go_round(self, room: int, take: Take) -> int:
        """One message each, then one more each, and so on."""
        left = room
        while left > 0 and self._due:
            lanes: list[Lane] = []
            while self._line and len(lanes) < left:
                lane = self._line.popleft()
                if lane in self._due:
                    lanes.append(lane)
            each = max(1, -(-left // len(self._due)))
            taken = self._offer(lanes, each, left, take)
            self._line.extend(lane for lane in lanes if lane in self._due)
            left -= taken
        return room - left

    def _nearest(self, priority: Priority, room: int, take: Take) -> int:
        """Everything to the nearest end, as long as there is something due of it."""
        left, ends = room, self._ends[priority]
        while left > 0 and ends:
            lanes = [ends.popleft() for _ in range(min(_AT_ONCE, len(ends)))]
            lanes = [lane for lane in lanes if lane in self._due]
            left -= self._offer(lanes, left, left, take)
            ends.extendleft(lane for lane in reversed(lanes) if lane in self._due)
        return room - left

    def _offer(self, lanes: Sequence[Lane], each: int, most: int, take: Take) -> int:
        if not lanes:
            return 0
        left = most
        for lane, taken in zip(lanes, take(lanes, each, most), strict=True):
            if taken:
                self._turns.pop(lane, None)
                self._turns[lane] = next(self._clock)
            if taken < min(each, left):
                del self._due[lane]
            left -= taken
        return most - left

    def _forget(self) -> None:
        """Those that were served longest ago and have nothing due. One that comes back then counts as new."""
        excess = len(self._turns) - len(self._due) - _REMEMBERED
        if excess > 0:
            idle = [lane for lane in self._turns if lane not in self._due]
            for lane in idle[:excess]:
                del self._turns[lane]


def _portion(owed: float, earned: float, left: int) -> tuple[float, int]:
    """What is still owed after this step, and how many messages it gets in it, of those that are left.

    Only what the step has no room for is owed: what nothing is due for is not saved up.
    """
    owed = min(owed, 1.0) + earned
    messages = min(int(owed), left)
    return owed - messages, messages
