"""The auditor: holds the ledger against the rows and finishes mailings, while its process leads.

On a thread and a connection of its own, because it reads every message of every mailing, and nothing waits for it. A
lead that is lost while it works is no harm: it only reads, keeps what it found, and finishes what is final.
"""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from dispatcher_service.leading.chores.check_ledger import BATCH_MAILINGS, BATCH_ROWS, ROUND, CheckLedger
from dispatcher_service.leading.chores.finish_mailings import finish_mailings
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.own_thread import OwnThread
from dispatcher_service.leading.session import own_connection
from shared import metrics
from shared.ledger.check import prepare
from shared.ledger.slot import Slot

PAUSE = 0.25
"""Seconds between two looks whether the next mailings have their turn in the check."""


class Auditor(OwnThread):
    """While the process leads; `offer` is for the leading thread."""

    name, told_as = "auditor", "auditor_lost_database"

    def __init__(self, engine: Engine, leads: threading.Event, round_pause: float = ROUND) -> None:
        """leads: set while the process leads. round_pause: seconds from one check of a mailing to the next."""
        super().__init__()
        self._engine = engine
        self._leads = leads
        self._check = CheckLedger(round_pause)
        self._slot = Slot("auditor")
        self._lock = threading.Lock()
        self._offered: dict[int, int] = {}  # audiences by mailing, under the lock
        self._woken = threading.Event()

    def offer(self, mailings: Sequence[tuple[int, int]]) -> None:
        """Mailings that can be finished by their counters: ids and audiences. May be called from any thread."""
        with self._lock:
            self._offered.update(mailings)
        self._woken.set()

    def stop(self) -> None:
        super().stop()
        self._woken.set()

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        """While the process leads."""
        while not self._leads.is_set():
            all_is_well()
            if self._stopping.wait(PAUSE):
                return
        try:
            with own_connection(self._engine) as connection:
                prepare(connection)
                self._check.begin(connection)
                acts = Isolation(connection, self._slot)
                try:
                    while self._leads.is_set() and not self._stopping.is_set():
                        self._step(connection, acts)
                        all_is_well()
                        self._woken.wait(PAUSE)
                finally:
                    acts.close()
        finally:
            metrics.LEDGER_DIFFERENCE.set(0)  # a gauge of the leader's

    def _step(self, connection: Connection, acts: Isolation) -> None:
        """The next mailings of the round, if it is time, and all that were offered."""
        finish_mailings(acts, self._check.take_turn(connection))
        self._woken.clear()
        while (batch := self._next_offered()) and not self._stopping.is_set():
            finish_mailings(acts, self._check.check(connection, batch))

    def _next_offered(self) -> list[int]:
        """Small ones first; a single one may be larger than a batch. What differs is left to the round, which looks
        again."""
        batch: list[int] = []
        room = BATCH_ROWS
        with self._lock:
            for mailing_id, audience in sorted(self._offered.items(), key=lambda offered: offered[::-1]):
                if batch and (audience > room or len(batch) >= BATCH_MAILINGS):
                    break
                del self._offered[mailing_id]
                if mailing_id not in self._check.in_trouble:
                    batch.append(mailing_id)
                    room -= audience
        return batch
