"""The launch of mailings, on a thread and a connection of its own: the messages of an audience are created in slices.

A slice locks its mailing's row, and moves its cursor in the same transaction. So it does not matter who makes it: one
that is made by a process which has lost the lead meanwhile is a slice as any other, and the next leader goes on behind
it. The first slices of many mailings are made together, since for a small one that is all, and a transaction for each
would cost more than its messages.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from sqlalchemy import Engine

from dispatcher_service.leading.isolation import Act, Isolation
from dispatcher_service.leading.own_thread import OwnThread
from dispatcher_service.leading.session import own_connection
from dispatcher_service.leading.walk import Mailing
from shared import metrics
from shared.clock import ticks
from shared.ledger.slot import Slot
from shared.logs import logger
from shared.messages.create import Slice, create_messages, create_together

FIRST_SPAN = 2_500
"""Clients that the first slice of a mailing looks at: few, so that they can be sent while the others are created."""

SHORTEST_SPAN, LONGEST_SPAN = 100, 1_000_000
SLICE_SECONDS = 0.1
"""What a slice is to take: for so long the mailing's row is locked, and the next mailing waits for its turn."""

TOGETHER, MOST_TOGETHER = 16, 500
"""Mailings whose first slices are made together: at first, and at the most."""

IDLE_PAUSE = 1.0


@dataclass
class _Launch:
    """A launch under way. span: clients that the next slice looks at; of those who do not match many more, as there is
    next to nothing to do for them. slices: that it has had."""

    span: int = field(default_factory=lambda: FIRST_SPAN)
    slices: int = 0


class _Turn(NamedTuple):
    """A mailing that waits for its next slice; the least of these has it: of tests none as long as others wait."""

    test: bool
    slices: int
    ends_at: datetime
    mailing_id: int


class Launcher(OwnThread):
    """For as long as the process leads; `offer` and `take_fresh` are for the leading thread."""

    name, told_as = "launch", "launch_lost_database"

    def __init__(self, engine: Engine, slot: Slot, wake_leader: Callable[[], None]) -> None:
        """slot: where the ledger counts what is created. wake_leader: called when there are new messages."""
        super().__init__()
        self._engine = engine
        self._slot = slot
        self._wake_leader = wake_leader
        self._log = logger()
        self._offered = threading.Event()
        self._launches: dict[int, _Launch] = {}
        self._line: list[_Turn] = []  # a heap
        self._together = TOGETHER
        self._lock = threading.Lock()  # of what follows
        self._ends: dict[int, tuple[bool, datetime]] = {}  # of the mailings to launch, and whether each is a test
        self._has_changed = False  # these, since the thread saw them
        self._fresh: dict[int, int | None] = {}  # mailings with new messages, and the part that these are in

    def stop(self) -> None:
        super().stop()
        self._offered.set()

    def offer(self, mailings: Sequence[Mailing]) -> bool:
        """The mailings that are to be launched now; whether one of them is new.

        Those of the last time that are not among them are not to be launched any more: they are launched, paused, or
        cancelled. One that was launched after it was looked at does no harm.
        """
        with self._lock:
            has_new = any(mailing.id not in self._ends for mailing in mailings)
            ends = {mailing.id: (mailing.test, mailing.ends_at) for mailing in mailings}
            self._has_changed |= ends != self._ends
            self._ends = ends
        if mailings:
            self._offered.set()
        return has_new

    def take_fresh(self) -> Mapping[int, int | None]:
        """The mailings of which messages were created since the last time, and the part that these are in."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        return fresh

    # ---- the thread's own

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        with self._lock:
            self._has_changed = True  # whose turn it was has lost it with the last connection
        with own_connection(self._engine) as connection:
            acts = Isolation(connection, self._slot)
            try:
                while not self._stopping.is_set():
                    if turns := self._next(acts):
                        self._make_slices(acts, turns)
                    else:
                        self._offered.wait(min(acts.until_next_try() or IDLE_PAUSE, IDLE_PAUSE))
                        self._offered.clear()
                    metrics.CHORE_LAST_RUN.labels(self.name).set_to_current_time()
                    all_is_well()
            finally:
                acts.close()

    def _next(self, acts: Isolation) -> list[_Turn]:
        """Whose turn it is: the mailing that has had the fewest slices, and of those the one that ends first. With it,
        if it is its first, those of which it is the first as well, and with which nothing has gone wrong. Tests wait
        for all others."""
        with self._lock:
            ends, self._has_changed = dict(self._ends) if self._has_changed else None, False
        if ends is not None:
            known = self._launches
            self._launches = {each: known.get(each) or _Launch() for each in ends}
            self._line = [
                _Turn(test, self._launches[each].slices, ends_at, each) for each, (test, ends_at) in ends.items()
            ]
            heapify(self._line)
        aside: list[_Turn] = []
        found: list[_Turn] = []
        while self._line and (not found or (self._goes_with(found[0]) and len(found) < self._together)):
            turn = heappop(self._line)
            is_alone = turn.slices > 0 or acts.is_in_trouble(self.name, turn.mailing_id)
            if acts.is_set_aside(self.name, turn.mailing_id) or (is_alone and found):
                aside.append(turn)
            else:
                found.append(turn)
                if is_alone:
                    break
        for turn in aside:
            heappush(self._line, turn)
        return found

    def _goes_with(self, turn: _Turn) -> bool:
        """Whether the next one may be made together with it."""
        return self._line[0].slices == 0 and self._line[0].test is turn.test

    def _make_slices(self, acts: Isolation, turns: Sequence[_Turn]) -> None:
        """Together, unless it is one; those that cannot be made so, each alone."""
        made: Mapping[int, Slice] = {}
        if len(turns) > 1:
            since = ticks()
            made = acts.run_together(self.name, _creating_together([turn.mailing_id for turn in turns])) or {}
            self._together = next_number(len(turns), self._together, ticks() - since)
            for turn in turns:
                if turn.mailing_id in made:
                    self._launches[turn.mailing_id].slices += 1
                    self._take(turn, made[turn.mailing_id])
            self._wake_leader()
        for turn in turns:
            if turn.mailing_id not in made and not self._stopping.is_set():
                self._make_slice(acts, turn)

    def _make_slice(self, acts: Isolation, turn: _Turn) -> None:
        launch = self._launches[turn.mailing_id]
        since = ticks()
        made = acts.run(self.name, turn.mailing_id, _creating(turn.mailing_id, launch.span))
        if made is None:
            launch.span = max(launch.span // 2, SHORTEST_SPAN)  # the next time in less time
            heappush(self._line, turn)
            return
        launch.slices += 1
        launch.span = next_span(launch.span, ticks() - since)
        self._take(turn, made)
        self._wake_leader()

    def _take(self, turn: _Turn, made: Slice) -> None:
        """A slice was made of the mailing whose turn it was."""
        mailing_id = turn.mailing_id
        if not turn.test:
            metrics.MESSAGES_CREATED.inc(made.count)
        with self._lock:
            if made.complete:
                self._ends.pop(mailing_id, None)
            if made.count:
                self._fresh[mailing_id] = made.part
        if not made.complete:
            heappush(self._line, turn._replace(slices=self._launches[mailing_id].slices))
        if made.launched:
            self._log.info("mailing_launched", mailing_id=mailing_id)


def _creating(mailing_id: int, span: int) -> Act[Slice]:
    return lambda connection, entries: create_messages(connection, entries, mailing_id, span)


def _creating_together(mailing_ids: Sequence[int]) -> Act[Mapping[int, Slice]]:
    return lambda connection, entries: create_together(connection, entries, mailing_ids, FIRST_SPAN)


def next_span(span: int, seconds: float) -> int:
    """How many clients a slice is to look at after one that looked at `span` of them and took so many seconds."""
    return min(max(int(span * _factor(seconds)), SHORTEST_SPAN), LONGEST_SPAN)


def next_number(number: int, most: int, seconds: float) -> int:
    """How many mailings have their first slices together after `number` of them, of `most` that might have been, took
    so many seconds. Fewer than might have been say nothing about more."""
    wanted = int(number * _factor(seconds))
    return min(max(wanted, most if number < most and wanted >= number else 1), MOST_TOGETHER)


def _factor(seconds: float) -> float:
    return min(max(SLICE_SECONDS / max(seconds, 1e-6), 0.5), 4.0)
