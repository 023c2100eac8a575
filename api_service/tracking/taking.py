"""Receipts are written: those of several requests that come at the same time, in one transaction."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shared import clock
from shared.domain.receipt import Receipt
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.receipts import Taken, take_receipts
from shared.metrics import RECEIPTS

MOST = 10_000
"""Receipts in one transaction, unless one request has more."""

LONGEST = 0.05
"""Seconds for which others are waited for at the most."""


@dataclass(eq=False, slots=True)
class _Job:
    """is_writer: whoever brought it writes next. unknown: how many of them are about no message that we know."""

    provider: str
    receipts: Sequence[Receipt]
    is_writer: bool = False
    unknown: int = 0
    failure: Exception | None = field(default=None, repr=False)
    called: threading.Event = field(default_factory=threading.Event, repr=False)


class Taking:
    """Any thread brings some and waits until they are committed. One of them writes what all have brought by then: a
    commit costs as much as all the rest of a single receipt.

    The writer waits for as many requests as the last one wrote, and no longer than that took. So one who sends them one
    by one waits for nobody, and of many at a time most are written together.
    """

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self._engine, self._slot = engine, slot
        self._lock = threading.Lock()
        self._are_enough = threading.Condition(self._lock)
        self._waiting: deque[_Job] = deque()
        self._has_writer = False
        self._last_requests, self._last_seconds = 1, 0.0

    def take(self, provider: str, receipts: Sequence[Receipt]) -> int:
        """How many of them are about no message that we know. Raises SQLAlchemyError."""
        job = _Job(provider, receipts)
        with self._lock:
            self._waiting.append(job)
            if not self._has_writer:
                self._has_writer = job.is_writer = True
            elif len(self._waiting) == self._last_requests:
                self._are_enough.notify()
        if not job.is_writer:
            job.called.wait()
        if job.is_writer:
            try:
                self._write_together(self._gathered())
            finally:
                self._pass_on()
        if job.failure is not None:
            raise job.failure
        return job.unknown

    def _gathered(self) -> list[_Job]:
        """The writer's, who came first, and others of the same provider: in one order, so that transactions do not wait
        for each other in a circle."""
        with self._lock:
            self._are_enough.wait_for(lambda: len(self._waiting) >= self._last_requests, self._last_seconds)
            first = self._waiting.popleft()
            jobs, room = [first], MOST - len(first.receipts)
            for job in list(self._waiting):
                if job.provider == first.provider and len(job.receipts) <= room:
                    self._waiting.remove(job)
                    jobs.append(job)
                    room -= len(job.receipts)
        return jobs

    def _write_together(self, jobs: Sequence[_Job]) -> None:
        began = clock.ticks()
        try:
            self._write(jobs)
        finally:
            self._last_requests, self._last_seconds = len(jobs), min(clock.ticks() - began, LONGEST)
            for job in jobs:
                job.called.set()

    def _pass_on(self) -> None:
        with self._lock:
            self._has_writer = bool(self._waiting)
            if self._waiting:
                self._waiting[0].is_writer = True
                self._waiting[0].called.set()

    def _write(self, jobs: Sequence[_Job]) -> None:
        try:
            taken = self._written(jobs)
        except Exception as error:
            if len(jobs) > 1 and isinstance(error, DBAPIError) and not error.connection_invalidated:
                for job in jobs:  # one of them spoils it for the others
                    self._write([job])
                return
            for job in jobs:
                job.failure = error
            return
        for job in jobs:
            job.unknown = sum((receipt.message_id or receipt.reference) in taken.unknown for receipt in job.receipts)
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
