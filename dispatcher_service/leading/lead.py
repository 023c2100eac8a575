"""The lead: one dispatcher launches due mailings, keeps a bounded backlog on the broker, and does the chores.

One process leads, by an advisory lock on the connection of the leading thread; the others stand by. Four more threads
work for as long as it leads: one launches, one has the broker, one checks and finishes, one makes and drops parts. So
neither a large launch nor a slow broker nor a look at every message, nor whoever reads an old part, keeps anything else
waiting.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.leading.auditor import Auditor
from dispatcher_service.leading.chores import all_chores
from dispatcher_service.leading.chores.check_ledger import ROUND
from dispatcher_service.leading.chores.chore import Step
from dispatcher_service.leading.feed import Feed
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.jobs import BEGIN_WITH
from dispatcher_service.leading.keeper import Keeper
from dispatcher_service.leading.launch import Launcher
from dispatcher_service.leading.lease_guard import LeaseGuard
from dispatcher_service.leading.publisher import Publisher
from dispatcher_service.leading.rounds import Rounds
from dispatcher_service.leading.session import own_connection
from dispatcher_service.leading.settled_ids import SettledIds
from dispatcher_service.leading.walk import Look, Walk
from shared import metrics
from shared.broker.base import Broker
from shared.clock import ticks
from shared.database.engine import first_line
from shared.database.lead import take_lead
from shared.domain.retention import KEEP_EVERYTHING, Retention
from shared.domain.retry import DEFAULT_LADDER
from shared.ledger.slot import Slot
from shared.logs import logger
from shared.loop import keep_serving

BUSY_PAUSE = 0.01
IDLE_PAUSE = 0.25
STANDBY_PAUSE = 1.0

SILENCE = 15.0
"""Seconds after which the server ends a leader's session that says nothing: so a leader that is frozen, or cut off,
loses the lead. One that is well says something every IDLE_PAUSE."""

HEAD_START = 0.05
"""Seconds for which the chores wait for the first slice of a new launch, so that it is fed at once."""

GOODBYE = 1.0
"""Seconds that the threads have to end with the lead. What holds one up longer, a broker that says nothing, may have
it: it does no harm beside a new one."""


class Leader:
    """`run` in a thread of its own; `stop` ends it between two steps."""

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        *,
        attempts: int,
        rate: float,
        longest_rung: timedelta = DEFAULT_LADDER[-1],
        lease: float = 0.0,
        concurrency: int = BEGIN_WITH,
        idle_pause: float = IDLE_PAUSE,
        check_pause: float = ROUND,
        learn: Callable[[int], object] = lambda _: None,
        retention: Retention = KEEP_EVERYTHING,
    ) -> None:
        """attempts, rate, longest_rung, lease, concurrency: as the dispatchers have them. idle_pause: seconds after a
        look that found nothing. check_pause: seconds from one check of a mailing's ledger to the next. learn: is told
        the highest id of a message that was given for good. retention: how long messages are kept."""
        self._engine = engine
        self._broker = broker
        self._attempts, self._longest_rung = attempts, longest_rung
        self._rate, self._concurrency = rate, concurrency
        self._idle_pause = idle_pause
        self._learn = learn
        self._slot = Slot("leader")
        self._guard = LeaseGuard(lease)
        self._log = logger()
        self._stopping = threading.Event()
        self._leads = threading.Event()
        self._auditor = Auditor(engine, self._leads, check_pause)
        self._keeper = Keeper(engine, broker, self._leads, retention)
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self.run, name="feeder", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._auditor.start()
        self._keeper.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive() and self._auditor.is_alive and self._keeper.is_alive

    def stop(self) -> None:
        self._stopping.set()
        self._auditor.stop()
        self._keeper.stop()
        self._woken.set()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)
        self._auditor.join(timeout)
        self._keeper.join(timeout)

    def run(self) -> None:
        """Stands by or leads, on one connection after the other."""
        keep_serving(self._serve, SQLAlchemyError, self._lost, is_over=self._stopping.is_set, wait=self._stopping.wait)

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        try:
            with own_connection(self._engine, silence=SILENCE, proves=True) as connection:
                ids = SettledIds(self._learn)
                while not self._try_to_lead(connection, ids):
                    all_is_well()
                    if self._stopping.wait(STANDBY_PAUSE):
                        return
                all_is_well()
                self._lead(connection, ids)
        finally:
            self._leads.clear()
            metrics.LEADER.set(0)

    def _lost(self, error: SQLAlchemyError, pause: float) -> None:
        self._log.warning("feeder_lost_database", error=first_line(error), again_in=round(pause, 1))

    def _try_to_lead(self, connection: Connection, ids: SettledIds) -> bool:
        with connection.begin():
            self._guard.trusts(connection)  # it has to see the clock while it stands by,
            ids.look(connection)  # and how far ids are
            return take_lead(connection)

    def _lead(self, connection: Connection, ids: SettledIds) -> None:
        self._log.info("feeder_leads")
        metrics.LEADER.set(1)
        acts = Isolation(connection, self._slot)
        self._leads.set()
        with self._helpers() as (launcher, publisher):
            feed = Feed(publisher, rate=self._rate, concurrency=self._concurrency)
            walk, rounds = Walk(), self._rounds(ids, publisher)
            try:
                while not self._stopping.is_set():
                    if not (launcher.is_alive and publisher.is_alive):
                        raise RuntimeError("A thread of the leader has died.")  # a defect; the process ends
                    found = walk.look(acts)
                    has_new = walk.has_looked and launcher.offer(found.unlaunched)
                    for mailing_id, message_ids in publisher.take_woken().items():
                        feed.wake(mailing_id, message_ids)
                    feed.run(acts, found.due if walk.has_looked else (), is_all=walk.has_looked)
                    if has_new and not rounds.is_late:
                        pause = HEAD_START
                    elif rounds.run(Step(acts, found.mailings), lambda: self._is_wanted(found)):  # noqa: B023
                        pause = BUSY_PAUSE
                    else:
                        pause = self._pause(acts, found, walk.until_next())
                    self._woken.wait(pause)
                    self._woken.clear()
                    if fresh := found.among(launcher.take_fresh(), feed.lanes):
                        feed.rouse(mailing.id for mailing in fresh)
                        feed.run(acts, fresh, is_all=False)
            finally:
                acts.close()

    def _rounds(self, ids: SettledIds, publisher: Publisher) -> Rounds:
        offer, remember = self._auditor.offer, publisher.remember
        return Rounds(all_chores(self._attempts, self._guard, offer, self._longest_rung, ids=ids, remember=remember))

    def _is_wanted(self, found: Look) -> bool:
        """Whether there is something to feed or to launch, which goes before the chores."""
        return self._woken.is_set() or (found.next_start is not None and found.next_start <= ticks())

    @contextmanager
    def _helpers(self) -> Iterator[tuple[Launcher, Publisher]]:
        """The other threads, for as long as the block lasts."""
        launcher = Launcher(self._engine, Slot("launch"), self._woken.set)
        publisher = Publisher(self._broker, self._woken.set)
        launcher.start()
        publisher.start()
        try:
            yield launcher, publisher
        finally:
            launcher.stop()
            publisher.stop()
            launcher.join(GOODBYE)
            publisher.join(GOODBYE)

    def _pause(self, acts: Isolation, found: Look, next_look: float | None) -> float:
        """Seconds until the next step, unless one of the threads says before that there is something to do."""
        moments = [self._idle_pause]
        if found.next_start is not None and next_look is None:  # else that look will see what starts before it
            moments.append(found.next_start - ticks())
        moments += [seconds for seconds in (acts.until_next_try(), next_look) if seconds is not None]
        return max(BUSY_PAUSE, min(moments))
