"""The keeper: removes what was kept for long enough, while its process leads.

On a thread and a connection of its own, because a part that is dropped waits for everybody who reads it, and nobody
waits for the keeper. A lead that is lost while it works is no harm: whoever does the same at that moment finds it done,
or goes on with it.
"""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from dispatcher_service.leading.chores import keeping_chores
from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.own_thread import OwnThread
from dispatcher_service.leading.session import own_connection
from shared.broker.base import Broker
from shared.domain.retention import Retention
from shared.ledger.slot import Slot

BUSY_PAUSE, IDLE_PAUSE = 0.1, 1.0
"""Seconds between two steps: half of its time the keeper leaves to others, however much there is to do."""


class Keeper(OwnThread):
    """A wait for somebody who reads a part does not end with `stop`; the server ends it soon after the process."""

    name, told_as = "keeper", "keeper_lost_database"

    def __init__(self, engine: Engine, broker: Broker, leads: threading.Event, retention: Retention) -> None:
        """leads: set while the process leads."""
        super().__init__()
        self._engine = engine
        self._broker = broker
        self._leads = leads
        self._retention = retention

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        """While the process leads."""
        while not self._leads.is_set():
            all_is_well()
            if self._stopping.wait(IDLE_PAUSE):
                return
        chores = keeping_chores(self._engine, self._broker, self._retention, self._is_over)
        with own_connection(self._engine) as connection:
            acts = Isolation(connection, Slot("keeper"))
            try:
                while not self._is_over():
                    pause = self._step(chores, acts)
                    all_is_well()
                    self._stopping.wait(pause)
            finally:
                acts.close()

    def _is_over(self) -> bool:
        return self._stopping.is_set() or not self._leads.is_set()

    def _step(self, chores: Sequence[Chore], acts: Isolation) -> float:
        """Seconds until the next one."""
        is_busy = False
        for chore in chores:
            if not self._is_over():
                is_busy |= chore.run(Step(acts, ()))
        return BUSY_PAUSE if is_busy else IDLE_PAUSE
