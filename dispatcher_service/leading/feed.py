"""What is due goes to the broker, in jobs, and no more of it than the dispatchers need.

Nothing is written for that: the leader reads what is due behind a cursor for each lane. A job that is lost, or comes
twice, changes nothing.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from math import inf

from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.leading.cursor import Cursor
from dispatcher_service.leading.fair_share import Due, FairShare, Lane, Take
from dispatcher_service.leading.flow import Flow
from dispatcher_service.leading.isolation import Act, Isolation
from dispatcher_service.leading.jobs import job_size, pack
from dispatcher_service.leading.publisher import Batch, Publisher
from dispatcher_service.leading.walk import Mailing
from shared import lanes
from shared.clock import ticks
from shared.domain.apart import TEST_LANE
from shared.domain.job import DispatchJob, Piece, Urgency
from shared.domain.priority import Priority
from shared.lanes import NONE_KNOWN, closed, full
from shared.messages.due import Read, Wanted, read_due
from shared.rates.paces import notes

LOOK_EVERY = 1.0
"""Seconds from one look at the dispatchers to the next: their paces, and what they see of providers."""

SIZES = 3
"""Looks for which there is room for no more than so many jobs of the smallest size: how many jobs the broker is to have
was found out with that one. A dispatcher that has become ten times as fast would have ten seconds' worth else."""

READS_A_SECOND = 2_000
"""Of lanes that are due and of which nothing new was found: what is on the broker already stays due until it is
claimed."""

TESTS = 200
"""Messages of tests that are fed a second, whatever else there is, and so many in a job: however little is really sent
at a time, they cost nobody anything to wait for. They get as well what else there is room for."""

RANKS = {priority: rank for rank, priority in enumerate(Priority)}
TURN = -1
"""The rank of those whose turn it is in the round. Whoever has them in hand claims them before all others: else what is
more urgent would pass them by there, too, for as long as it has most of the pace."""


@dataclass
class _Fed:
    """A lane that is due. mailing: as it was seen last. ids, turns: what is to be published of it in this step; turns:
    of that what is its turn in the round."""

    mailing: Mailing
    cursor: Cursor = field(default_factory=Cursor)
    ids: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)


@dataclass
class _Asked:
    """What the share asks for: so many of each lane, and so many in all. is_turn: it is their turn in the round. taken:
    what there was so far."""

    each: int
    most: int
    is_turn: bool
    taken: dict[Lane, int]

    @property
    def left(self) -> int:
        return self.most - sum(self.taken.values())


class Feed:
    """Reads what is due from the database for the publisher. Belongs to the leading thread, and lives as long as the
    lead."""

    def __init__(self, publisher: Publisher, *, rate: float, concurrency: int) -> None:
        """rate, concurrency: as the dispatchers have them."""
        self._publisher = publisher
        self._rate, self._concurrency = rate, concurrency
        self._share, self._share_of_tests = FairShare(), FairShare()
        self._lanes: dict[Lane, _Fed] = {}
        self._losses = 0
        self._size = job_size((), concurrency, rate)
        self._sizes = deque([self._size], SIZES)  # the last ones
        self._next_look = 0.0
        self._known = NONE_KNOWN
        self._flow = Flow()
        self._closed: Collection[int] = ()  # lanes of which no dispatcher can send anything now
        self._owed_to_tests, self._fed_at = 0.0, ticks()
        self._read_at = 0.0  # the database's time, in seconds since the epoch

    def run(self, acts: Isolation, due: Sequence[Mailing], *, is_all: bool) -> None:
        """Reads of one lane after the other until there is no more room on the broker.

        Args:
            acts: run what is read.
            due: mailings with messages that are due.
            is_all: these are all that were just found to be due, and of the others nothing is.
        """
        if due and ticks() >= self._next_look:
            self._look(acts)
        if is_all or due:
            self._see(due, is_all=is_all)
        room = self._publisher.begin()
        if room.losses != self._losses:
            self._losses = room.losses
            self._forget(list(self._lanes))
        for batch in self._publisher.take_failed():
            self._forget(batch.lanes)
        try:
            if room.jobs > 0 and self._lanes:
                self._feed(acts, room.jobs)
        finally:
            self._publisher.end(is_wanted=bool(self._lanes))

    def wake(self, mailing_id: int, message_ids: Sequence[int]) -> None:
        """These are worth another look."""
        for number in self.lanes:
            if fed := self._lanes.get(Lane(mailing_id, number)):
                fed.cursor.wake(message_ids, ticks())

    @property
    def lanes(self) -> Sequence[int]:
        """All that there are."""
        return tuple(self._known.lanes)

    def rouse(self, mailing_ids: Iterable[int]) -> None:
        """There is something new of these."""
        for mailing_id in mailing_ids:
            self.wake(mailing_id, ())

    def _see(self, due: Sequence[Mailing], *, is_all: bool) -> None:
        """A cursor is forgotten when its mailing has nothing due any more, was changed by a user, or can be fed again
        after it could not."""
        seen = {
            Lane(mailing.id, lane): mailing
            for mailing in due
            for lane in mailing.due_lanes
            if mailing.test or lane not in self._closed
        }
        if is_all:
            for lane in [lane for lane in self._lanes if lane not in seen]:
                del self._lanes[lane]
        for lane, mailing in seen.items():
            fed = self._lanes.get(lane)
            if fed is None or (
                None not in (fed.mailing.version, mailing.version) and fed.mailing.version != mailing.version
            ):
                self._lanes[lane] = _Fed(mailing)
            else:
                fed.mailing = mailing
        for is_test, share in ((False, self._share), (True, self._share_of_tests)):
            share.see(
                Due(lane.mailing_id, lane.lane, fed.mailing.priority, fed.mailing.ends_at)
                for lane, fed in self._lanes.items()
                if fed.mailing.test is is_test
            )

    def _forget(self, lanes: Iterable[Lane]) -> None:
        """What was published of them may be lost."""
        for lane in lanes:
            if fed := self._lanes.get(lane):
                self._lanes[lane] = _Fed(fed.mailing)

    def _look(self, acts: Isolation) -> None:
        """At what the dispatchers say of themselves and of providers."""
        self._next_look = ticks() + LOOK_EVERY
        found = acts.run("feed", None, lambda connection, _: (lanes.read(connection), notes(connection)))
        if found is None:
            return
        self._known, noted = found
        self._size = job_size([one.pace for one in noted], self._concurrency, self._rate)
        self._sizes.append(self._size)
        seen = [one.seen for one in noted]
        self._closed = closed(self._known, seen)
        self._flow.see(full(self._known, seen))

    def _feed(self, acts: Isolation, jobs: int) -> None:
        def take(lanes: Sequence[Lane], each: int, most: int, *, is_turn: bool = False) -> Sequence[int]:
            return self._take(acts, lanes, _Asked(each, most, is_turn, dict.fromkeys(lanes, 0)))

        room = jobs * min(self._sizes)
        left = room - self._share.feed(room, take, partial(take, is_turn=True))
        self._feed_tests(left, take)
        lanes = [lane for lane, fed in self._lanes.items() if fed.ids or fed.turns]
        lanes.sort(key=lambda lane: _urgency(self._lanes[lane].mailing))
        packed: list[DispatchJob] = []
        for is_test, size in ((False, self._size), (True, max(self._size, TESTS))):
            some = [lane for lane in lanes if self._lanes[lane].mailing.test is is_test]
            packed += pack(list(_pieces([(lane, self._lanes[lane]) for lane in some])), size, self._read_at)
        if packed:
            self._publisher.hand_over(Batch(lanes, [job.encode() for job in packed], sum(job.size for job in packed)))

    def _feed_tests(self, left: int, take: Take) -> None:
        """left: of the room, by what is really sent, which so has all of it."""
        now = ticks()
        self._owed_to_tests = min(TESTS, self._owed_to_tests + (now - self._fed_at) * TESTS)
        self._fed_at = now
        if messages := max(left, int(self._owed_to_tests)):
            fed = self._share_of_tests.feed(messages, take)
            self._owed_to_tests = max(0.0, self._owed_to_tests - fed)

    def _take(self, acts: Isolation, lanes: Sequence[Lane], asked: _Asked) -> Sequence[int]:
        """How many it was of each lane. As `fair_share.Take` has it."""
        now = ticks()
        awake = [lane for lane in lanes if not self._lanes[lane].cursor.is_resting(now) and self._room(lane, now) >= 1]
        for part, some in groupby(awake, key=lambda lane: self._lanes[lane].mailing.part):
            left = list(some)
            while left and asked.left > 0 and part is not None:
                left = self._read(acts, part, left, asked)
        return list(asked.taken.values())

    def _read(self, acts: Isolation, part: int, lanes: Sequence[Lane], asked: _Asked) -> list[Lane]:
        """One read of these lanes; those of which there may be more."""
        now = ticks()
        wanted = [Wanted(*lane, self._most(lane, asked, now), self._lanes[lane].cursor.begin(now)) for lane in lanes]
        read = self._run(acts, part, wanted, asked.left)
        if read is None:
            for lane in lanes if len(lanes) > 1 else ():  # one is in trouble, and the others are read without it
                self._read(acts, part, [lane], asked)
            return []
        self._read_at = read.now.timestamp()
        is_cut, last = read.size >= asked.left, max(read.groups, default=0)
        more = []
        for number, (lane, want) in enumerate(zip(lanes, wanted, strict=True)):
            fed, groups = self._lanes[lane], read.groups.get(number, ())
            for group in fed.cursor.advance(groups, read.now, now):
                (fed.turns if asked.is_turn else fed.ids).extend(group.ids)
                asked.taken[lane] += len(group.ids)
                if not fed.mailing.test:
                    self._flow.take(lane.lane, len(group.ids))
            found = sum(len(group.ids) for group in groups)
            if (is_cut and number >= last) or (found == want.limit and asked.taken[lane] < asked.each):
                if self._room(lane, now) >= 1:
                    more.append(lane)
            elif found < want.limit:
                fed.cursor.rest(now + len(self._lanes) / READS_A_SECOND)
        return more

    def _room(self, lane: Lane, now: float) -> float:
        """How many messages of a lane may be fed now. Tests go through no provider of a lane."""
        return inf if self._lanes[lane].mailing.test else self._flow.room(lane.lane, now)

    def _most(self, lane: Lane, asked: _Asked, now: float) -> int:
        """How many messages of a lane to read."""
        return int(max(1, min(asked.each - asked.taken[lane], self._room(lane, now))))

    def _run(self, acts: Isolation, part: int, wanted: Sequence[Wanted], most: int) -> Read | None:
        """None: it failed, or failed a moment ago."""
        if len(wanted) == 1:
            return acts.run("feed", wanted[0].mailing_id, _reading(part, wanted, most))
        try:
            return acts.run("feed", None, _reading(part, wanted, most))
        except SQLAlchemyError:
            raise
        except Exception:  # a defect, or data that nobody has thought of, of one of them
            return None


def _reading(part: int, wanted: Sequence[Wanted], most: int) -> Act[Read]:
    return lambda connection, _entries: read_due(connection, part, wanted, most)


def _urgency(mailing: Mailing) -> Urgency:
    return Urgency(RANKS[mailing.priority], mailing.ends_at.timestamp())


def _pieces(lanes: Sequence[tuple[Lane, _Fed]]) -> Iterator[Piece]:
    """What is to be published of these; afterwards there is nothing. First what is its turn in the round, the fewest
    before all: else it would come behind all that is more urgent, on the broker as well."""
    for lane, fed in sorted(lanes, key=lambda one: len(one[1].turns)):
        if fed.turns:
            yield Piece(
                lane.mailing_id, _number(lane, fed), _urgency(fed.mailing)._replace(rank=TURN), tuple(fed.turns)
            )
            fed.turns = []
    for lane, fed in lanes:
        if fed.ids:
            yield Piece(lane.mailing_id, _number(lane, fed), _urgency(fed.mailing), tuple(fed.ids))
            fed.ids = []


def _number(lane: Lane, fed: _Fed) -> int:
    return TEST_LANE if fed.mailing.test else lane.lane
