"""Messages that were kept for long enough go with their part, as a whole."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from dispatcher_service.leading.chores.chore import SPELL, Chore, Step
from dispatcher_service.leading.isolation import Act, HeldUp
from shared import metrics
from shared.clock import ticks
from shared.domain.retention import Goes, Part, Retention
from shared.ledger.entries import Entries
from shared.logs import logger
from shared.retention import parts
from shared.retention.dropping import Busy, drop_part, patient_connection

AGAIN = 5.0
"""Seconds until the next try where somebody reads what is to be dropped."""


@dataclass
class _Trouble:
    until: float = 0.0  # in ticks
    tries: int = 0


class DropParts(Chore):
    """Gives up the mailings of a part that is to go, slice by slice, and drops it when all of them are.

    Of a part that stays it gives up those that finished twice as long ago, and `delete_leftovers` does the rest. What
    it was doing when somebody was killed is found in the tables and gone on with.
    """

    name = "drop_parts"
    pause = 60.0

    def __init__(self, engine: Engine, retention: Retention, is_over: Callable[[], bool]) -> None:
        """engine: of the database that a connection of its own is made to. is_over: whether to begin nothing more."""
        super().__init__()
        metrics.begin(metrics.REMOVED, ("parts", "messages"))
        self._engine = engine
        self._retention = retention
        self._is_over = is_over
        self._given_up: dict[int, Counter[str]] = defaultdict(Counter)  # mailings and messages, by part
        self._trouble: dict[int, _Trouble] = {}  # by part

    def work(self, step: Step) -> bool | None:
        if not self._retention.days:
            return False
        found = step.acts.run(self.name, None, lambda connection, _: parts.read_parts(connection))
        if found is None:
            return None
        parts_that_wait = False
        for part in found[0]:
            goes = self._retention.goes(part, found[1])
            if goes is not Goes.NOTHING and self._give_up(step, part, whole=goes is Goes.PART):
                return True  # there is more, after a breath
            if goes is Goes.PART:
                parts_that_wait |= not self._drop(step, part.number)
            if self._is_over():
                return False
        return None if parts_that_wait else False

    def _give_up(self, step: Step, part: Part, *, whole: bool) -> bool:
        """For a spell; whether there is more."""
        act = _giving_up(part.number, self._retention, whole=whole)
        until = ticks() + SPELL
        while audiences := step.acts.run(self.name, None, act):
            if whole:
                self._given_up[part.number].update(mailings=len(audiences), messages=sum(audiences.values()))
            if ticks() >= until:
                return True
        return False

    def _drop(self, step: Step, number: int) -> bool:
        """Waits for those who use the table, however long they do: nobody waits for this thread. False: it has to be
        tried again."""
        trouble = self._trouble.setdefault(number, _Trouble())
        if ticks() < trouble.until or not step.acts.run(self.name, None, _asking_whether_given_up(number)):
            return False
        logger().info("part_is_dropped", part=number)
        try:
            with patient_connection(self._engine) as connection:
                freed = parts.size(connection, number)
                drop_part(connection, number)
        except Busy as busy:
            trouble.until = ticks() + AGAIN
            trouble.tries += 1
            if trouble.tries.bit_count() == 1:  # somebody may read it overnight
                logger().warning("part_not_dropped", part=number, reason=str(busy), tries=trouble.tries)
            return False
        if not step.acts.run(self.name, None, lambda connection, _: parts.forget(connection, number)):
            return False
        del self._trouble[number]
        gone = self._given_up.pop(number, Counter())
        metrics.REMOVED.labels("messages").inc(gone["messages"])
        metrics.REMOVED.labels("parts").inc()
        logger().info("removed", what="part", part=number, bytes=freed, **gone)
        return True


def _giving_up(number: int, retention: Retention, *, whole: bool) -> Act[Mapping[int, int]]:
    finished_before = retention.kept if whole else retention.kept_one_by_one
    return lambda connection, _: parts.give_up(connection, number, finished_before, with_part=whole)


def _asking_whether_given_up(number: int) -> Act[bool]:
    def ask(connection: Connection, _: Entries) -> bool:
        if not parts.is_given_up(connection, number):
            raise HeldUp  # all that are left are locked
        return True

    return ask
