"""Receipts are written: those of several requests that come at the same time, in one transaction."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shared.domain.receipt import Receipt
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.receipts import Taken, take_receipts
from shared.metrics import RECEIPTS

MOST = 10_000
"""Receipts in one transaction, unless one request has more."""


@dataclass(eq=False, slots=True)
class _Job:
    """unknown: how many of them are about no message that we know."""

    provider: str
    receipts: Sequence[Receipt]
    is_done: bool = False
    unknown: int = 0
    failure: Exception | None = field(default=None, repr=False)


class Taking:
    """Any thread brings some and waits until they are committed. Whoever has the turn writes what all have brought by
    then: a commit costs as much as all the rest of a single receipt."""

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self._engine, self._slot = engine, slot
        self._lock = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._turn = threading.Lock()

    def take(self, provider: str, receipts: Sequence[Receipt]) -> int:
        """How many of them are about no message that we know. Raises SQLAlchemyError."""
        job = _Job(provider, receipts)
        with self._lock:
            self._waiting.append(job)
        while not job.is_done:
            with self._turn:
                if not job.is_done:
                    self._write(self._next())
        if job.failure is not None:
            raise job.failure
        return job.unknown

    def _next(self) -> list[_Job]:
        """Of one provider: in one order, so that transactions do not wait for each other in a circle."""
        with self._lock:
            first = self._waiting.popleft()
            jobs, room = [first], MOST - len(first.receipts)
            for job in list(self._waiting):
                if job.provider == first.provider and len(job.receipts) <= room:
                    self._waiting.remove(job)
                    jobs.append(job)
                    room -= len(job.receipts)
        return jobs

    def _write(self, jobs: Sequence[_Job]) -> None:
        try:
            taken = self._written(jobs)
        except Exception as error:
            if len(jobs) > 1 and isinstance(error, DBAPIError) and not error.connection_invalidated:
                for job in jobs:  # one of them spoils it for the others
                    self._write([job])
                return
            for job in jobs:
                job.failure, job.is_done = error, True
            return
        for job in jobs:
            job.unknown = sum((receipt.message_id or receipt.reference) in taken.unknown for receipt in job.receipts)
            job.is_done = True
        _show(jobs[0].provider, taken, sum(job.unknown for job in jobs))

    def _written(self, jobs: Sequence[_Job]) -> Taken:
        receipts = [receipt for job in jobs for receipt in job.receipts]
        with self._engine.begin() as connection, open_entries(connection, self._slot) as entries:
            return take_receipts(connection, entries, jobs[0].provider, receipts)


def _show(provider: str, taken: Taken, unknown: int) -> None:
    numbers = {
        **{str(state): number for state, number in taken.states.items()},
        "repeated": taken.repeated,
        "early": len(taken.early),
        "contradicted": taken.contradicted,
        "unknown": unknown,
    }
    for result, number in numbers.items():
        if number:
            RECEIPTS.labels(provider, result).inc(number)
