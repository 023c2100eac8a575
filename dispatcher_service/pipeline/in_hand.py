"""What a dispatcher has in hand: jobs that were received, and claims whose messages are on their way. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from shared.broker.base import Delivery

PREFETCH = 10
"""Jobs. The next ones lie ready while the statuses of the last ones are written; more would be kept from the others."""


@dataclass(slots=True, eq=False)
class Held:
    """A job that was received. waiting: ids to be claimed. claims: those with messages of this job on their way."""

    delivery: Delivery
    mailing_id: int
    waiting: deque[int]
    claims: set[int] = field(default_factory=set)

    @property
    def is_done(self) -> bool:
        return not self.waiting and not self.claims


@dataclass(slots=True)
class Pick:
    """What is to be claimed of one mailing: so many ids from the head of each of these jobs."""

    message_ids: list[int] = field(default_factory=list)
    jobs: list[tuple[Held, int]] = field(default_factory=list)

    def cut(self, most: int) -> "Pick":
        """No more than so many of them, from the first job on."""
        jobs, room = [], most
        for held, count in self.jobs:
            if room > 0:
                jobs.append((held, min(room, count)))
                room -= count
        return Pick(self.message_ids[:most], jobs)


@dataclass(slots=True)
class OpenClaim:
    """open: its messages on their way. jobs: those that it was made for."""

    open: int
    jobs: Sequence[Held]


class InHand:
    """Belongs to one thread. A job is let go when it is done; a claim is forgotten with its last result."""

    def __init__(self) -> None:
        self._held: list[Held] = []
        self._claims: dict[int, OpenClaim] = {}  # by id

    @property
    def is_empty(self) -> bool:
        return not self._held and not self._claims

    def hold(self, new: Held) -> None:
        """A job that came again, as all do when their session is lost, takes the place of the one in hand."""
        for held in self._held:
            if held.delivery.body == new.delivery.body:
                held.waiting.clear()
        self._held.append(new)

    def pick(self, room: int) -> dict[int, Pick]:
        """What to claim now, by mailing: at most so many ids, from the oldest job on. They still wait."""
        picks: dict[int, Pick] = {}
        for held in self._held:
            if room and held.waiting:
                count = min(room, len(held.waiting))
                pick = picks.setdefault(held.mailing_id, Pick())
                pick.message_ids.extend(islice(held.waiting, count))
                pick.jobs.append((held, count))
                room -= count
        return picks

    def take(self, pick: Pick) -> None:
        """A claim has decided what was picked: it waits no more."""
        for held, count in pick.jobs:
            for _ in range(count):
                held.waiting.popleft()

    def own(self, pick: Pick, claim_id: int, messages: int) -> None:
        """A claim was made of what was picked; so many messages of it are on their way."""
        jobs = [held for held, _ in pick.jobs]
        self._claims[claim_id] = OpenClaim(messages, jobs)
        for held in jobs:
            held.claims.add(claim_id)

    def forget(self, claim_id: int, messages: int) -> None:
        """So many results of a claim are written."""
        claim = self._claims[claim_id]
        claim.open -= messages
        if not claim.open:
            del self._claims[claim_id]
            for held in claim.jobs:
                held.claims.discard(claim_id)

    def let_go(self, room: int) -> Sequence[Delivery]:
        """Jobs that are to be acked: those that are done. When those in hand are most of the prefetch and leave less to
        be claimed than there is room for, also the ones of which everything is on its way: from the claim on it is the
        lease that guards a message, not the job. Else a fast provider would wait for the next jobs, and calls that hang
        would keep them out."""
        waiting = sum(len(held.waiting) for held in self._held)
        crowded = len(self._held) >= PREFETCH - 2 and waiting < room
        done = [held for held in self._held if held.is_done or (crowded and not held.waiting)]
        if done:
            gone = set(map(id, done))
            self._held = [held for held in self._held if id(held) not in gone]
        return [held.delivery for held in done]
