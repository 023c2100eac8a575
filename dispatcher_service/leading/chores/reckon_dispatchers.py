"""Whoever scales the dispatchers is told how many there should be."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.wanted import BUSY, Demand, Dispatchers, PaceOfOne, wanted
from shared import lanes, metrics
from shared.clock import ticks
from shared.domain.priority import Priority
from shared.ledger.entries import Entries
from shared.messages.parts import Place
from shared.messages.waiting import longest_due
from shared.rates.demands import Reckoned, keep_reckoned, read_unsent
from shared.rates.limits import DISPATCH, of_provider, used_up
from shared.rates.paces import Noted, notes

RECKON_EVERY = 5.0
PART = 1_000


class _Seen(NamedTuple):
    """What a part of a round has found. longest_due: by class, in seconds. last: the mailing behind which the next one
    begins; None: it was the last."""

    demands: Sequence[Demand]
    longest_due: Mapping[Priority, float]
    last: int | None


class ReckonDispatchers(Chore):
    """Adds up what all mailings still have to send every RECKON_EVERY seconds, PART of them at a time, and writes down
    how many dispatchers that takes."""

    name = "reckon_dispatchers"
    pause = 0.25

    def __init__(self) -> None:
        super().__init__()
        self._next_round_at = 0.0
        self._after = 0
        self._demands: list[Demand] = []
        self._longest_due = dict.fromkeys(Priority, 0.0)
        self._pace = PaceOfOne()

    def work(self, step: Step) -> bool | None:
        if ticks() < self._next_round_at:
            return False
        part = step.acts.run(self.name, None, self._look)
        if part is None:
            return None
        self._demands += part.demands
        for priority, seconds in part.longest_due.items():
            self._longest_due[priority] = max(self._longest_due[priority], seconds)
        self._after = part.last or 0
        if part.last is not None:
            return False
        reckoned = step.acts.run(self.name, None, self._reckon)
        longest_due = self._longest_due
        self._demands, self._longest_due = [], dict.fromkeys(Priority, 0.0)
        self._next_round_at = ticks() + RECKON_EVERY
        if reckoned is None:
            return None
        metrics.DISPATCHERS_WANTED.set(reckoned.wanted)
        for priority, seconds in longest_due.items():
            metrics.OLDEST_DUE.labels(priority).set(seconds)
        return False

    def _look(self, connection: Connection, _entries: Entries) -> _Seen:
        page = read_unsent(connection, self._after, PART)
        places = [Place(one.mailing_id, one.part) for one in page.unsent]
        longest = longest_due(connection, places, _closed(connection)) if places else {}
        return _Seen([Demand(one.messages, one.seconds) for one in page.unsent], longest, page.last)

    def _reckon(self, connection: Connection, _entries: Entries) -> Reckoned:
        noted = notes(connection)
        is_held_up = _is_held_up(noted, used_up(connection))
        oldest = max(self._longest_due.values())
        is_busy = oldest > BUSY and not is_held_up
        self._pace.see([one.pace for one in noted], is_busy=is_busy)
        there = Dispatchers(len(noted), self._pace.value, is_held_up, oldest)
        reckoned = Reckoned(wanted(self._demands, there), oldest)
        keep_reckoned(connection, reckoned)
        return reckoned


def _closed(connection: Connection) -> Collection[int]:
    return lanes.closed(lanes.read(connection), [one.seen for one in notes(connection)])


def _is_held_up(noted: Sequence[Noted], limits: Collection[str]) -> bool:
    """Whether something else than the dispatchers decides how much goes out: DISPATCH_RATE, or of every provider its
    own limit, or that it is down, or says that it is too much. limits: those that are used up."""
    seen = [(name, one.seen[name]) for one in noted for name in one.seen]
    by_name = {name: [one for each, one in seen if each == name] for name, _ in seen}
    return DISPATCH in limits or (
        bool(by_name)
        and all(
            of_provider(name) in limits or any(one["limited"] for one in each) or all(one["open"] for one in each)
            for name, each in by_name.items()
        )
    )
