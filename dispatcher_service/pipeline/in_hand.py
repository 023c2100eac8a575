"""What a dispatcher has in hand: the jobs that it has received, and which of their messages to claim next. Pure.

`now` is in seconds on a clock that never steps back.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from shared.broker.base import Delivery
from shared.domain.apart import TEST_LANE
from shared.domain.job import DispatchJob, Urgency

PREFETCH = 4
"""Jobs, each of about a quarter of a second's work. More would be kept from the others."""

WAITED_LONG = 3.0
"""Seconds in hand after which a job goes before those that are more urgent."""

OUTDATED = 10.0
"""Seconds after which a job is let go unread: by then the leader publishes anew what nobody has claimed."""

_NO_LIMITS: Mapping[int, int] = {}

Shares = Sequence[tuple[int, int]]
"""Providers, and how many messages each takes."""

Take = Callable[[int, int], Shares]
"""take(lane, wanted): who takes so many messages of a lane, or fewer of them."""


def by_anybody(_lane: int, wanted: int) -> Shares:
    """Where there is one provider."""
    return ((0, wanted),)


@dataclass(slots=True, eq=False)
class Waiting:
    """Messages of a job that are to be claimed, of one lane of a mailing."""

    job: "Held"
    mailing_id: int
    lane: int
    urgency: Urgency
    message_ids: deque[int]

    @property
    def is_test(self) -> bool:
        return self.lane == TEST_LANE


@dataclass(slots=True, eq=False)
class Held:
    """A job that was received. since: when. read_at: as the job has it. pieces: those that wait, the most urgent first.
    begun: how many messages the sender has had to begin, of all that it was ever offered, before the calls of this job
    have begun. size: messages that it came with. has_tests: it came with some of tests.
    """

    delivery: Delivery
    since: float
    read_at: float
    pieces: list[Waiting]
    begun: int = 0
    size: int = 0
    has_tests: bool = False

    @classmethod
    def of(cls, delivery: Delivery, job: DispatchJob, now: float) -> "Held":
        held = cls(delivery, now, job.read_at, [], size=job.size)
        held.pieces = [Waiting(held, one.mailing_id, one.lane, one.urgency, deque(one.message_ids)) for one in job]
        held.pieces.sort(key=lambda piece: piece.urgency)
        held.has_tests = any(piece.is_test for piece in held.pieces)
        return held

    @property
    def waiting(self) -> int:
        """How many of its messages are to be claimed."""
        return sum(len(piece.message_ids) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Pick:
    """Ids from the head of a piece, and through whom they are to go: the first ones through the first."""

    piece: Waiting
    message_ids: Sequence[int]
    shares: Shares = ()


class InHand:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._held: list[Held] = []

    @property
    def is_empty(self) -> bool:
        return not self._held

    @property
    def job(self) -> int:
        """How many messages the largest job in hand came with."""
        return max((held.size for held in self._held), default=0)

    def hold(self, new: Held) -> None:
        """A job that came again, as all do when their session is lost, takes the place of the one in hand."""
        for held in self._held:
            if held.delivery.body == new.delivery.body:
                held.pieces.clear()
        self._held.append(new)

    def pick(
        self,
        room: int,
        now: float,
        most: Mapping[int, int] = _NO_LIMITS,
        take: Take = by_anybody,
        *,
        is_test: bool = False,
    ) -> list[Pick]:
        """What to claim now, at most so many ids; they still wait. most: of these mailings no more than so many. take:
        says who takes them. is_test: of tests, and else of what is really sent: neither takes a place of the other.

        The most urgent mailing first, and of one mailing the oldest job; but before all what has waited for long. So
        what is urgent passes by what is not, and nothing is passed by for ever.
        """
        picks: list[Pick] = []
        left = dict(most)
        # Jobs of many small mailings have thousands of pieces, of which a few are picked. Tests are asked for at each
        # turn, and come in jobs of their own.
        for piece in merge(
            *(held.pieces for held in self._held if held.has_tests or not is_test),
            key=lambda piece: (now - piece.job.since < WAITED_LONG, piece.urgency, piece.job.since),
        ):
            if room <= 0:
                break
            if piece.is_test is not is_test:
                continue
            wanted = min(room, left.get(piece.mailing_id, room), len(piece.message_ids))
            shares = take(piece.lane, wanted) if wanted else ()
            ids = list(islice(piece.message_ids, sum(number for _, number in shares)))
            if ids:
                picks.append(Pick(piece, ids, shares))
                room -= len(ids)
            if piece.mailing_id in left:
                left[piece.mailing_id] -= len(ids)
        return picks

    def take(self, picks: Sequence[Pick], begun: int) -> None:
        """A claim has decided what was picked: it waits no more. begun: as `Held` has it."""
        for pick in picks:
            for _ in pick.message_ids:
                pick.piece.message_ids.popleft()
            pick.piece.job.begun = max(begun, pick.piece.job.begun)
        for held in {pick.piece.job for pick in picks}:
            held.pieces = [piece for piece in held.pieces if piece.message_ids]

    def drop(self, lanes: Collection[int]) -> None:
        """Nothing of these may be sent for a while: it is published again when it may, and keeps no place till then."""
        for held in self._held:
            held.pieces = [piece for piece in held.pieces if piece.lane not in lanes]

    def let_go(self, begun: int, now: float, clock: float | None) -> Sequence[Delivery]:
        """Jobs that are to be acked: those whose last call has begun, as from the claim on it is the lease that guards
        a message and not the job, and those that are outdated.

        begun: how many messages the sender has begun so far. clock: the database's, in seconds since the epoch; None
        where it is not known.
        """
        done = []
        for held in self._held:
            if now - held.since > OUTDATED or (clock is not None and clock - held.read_at > OUTDATED):
                held.pieces.clear()
            if not held.waiting and held.begun <= begun:
                done.append(held)
        if done:
            gone = set(map(id, done))
            self._held = [held for held in self._held if id(held) not in gone]
        return [held.delivery for held in done]
