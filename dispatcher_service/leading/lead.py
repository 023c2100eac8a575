"""The lead: one dispatcher launches due mailings, keeps a bounded backlog on the broker, and does the chores.

One process leads, by an advisory lock on the connection that does all its work, so that a leader that lost the lock
can write nothing; the others stand by. It works without a broker as well: only publishing waits for it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.leading.chores.close_ended import close_ended
from dispatcher_service.leading.chores.finish_mailings import finish_mailings
from dispatcher_service.leading.chores.rescue_leases import rescue_leases
from dispatcher_service.leading.chores.retime_windows import retime_windows
from dispatcher_service.leading.chores.show_figures import ShowFigures
from dispatcher_service.leading.feed import CHUNK, Feed
from dispatcher_service.leading.launch import launch
from dispatcher_service.leading.walk import begun_mailings, until_next_start
from shared import metrics
from shared.broker.base import Broker
from shared.clock import ticks
from shared.database.engine import first_line, try_lock
from shared.ledger.entries import any_slot
from shared.logs import logger
from shared.loop import keep_serving

LEADER_LOCK = 0x66656564  # "feed"
BUSY_PAUSE = 0.01
IDLE_PAUSE = 0.25
STANDBY_PAUSE = 1.0
RESCUE_AFTER = 5.0
"""Seconds after taking the lead: when the database comes back, dispatchers first write what they know."""

SILENCE = 15.0
"""Seconds after which the server ends a leader's session that says nothing: so a leader that is frozen, or cut off,
loses the lead. One that is well is silent for no longer than it waits for the broker."""


class Leader:
    """`run` in a thread of its own; `stop` ends it between two steps."""

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        *,
        attempts: int,
        rate: float,
        concurrency: int = CHUNK,
        idle_pause: float = IDLE_PAUSE,
    ) -> None:
        """rate, concurrency: as the dispatchers have them. idle_pause: seconds after a look that found nothing."""
        self._engine = engine
        self._attempts = attempts
        self._idle_pause = idle_pause
        self._slot = any_slot()
        self._feed = Feed(broker, self._slot, rate=rate, concurrency=concurrency)
        self._show_figures = ShowFigures()
        self._log = logger()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="feeder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._feed.wake()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def run(self) -> None:
        """Stands by or leads, on one connection after the other."""
        keep_serving(self._serve, SQLAlchemyError, self._lost, is_over=self._stopping.is_set, wait=self._stopping.wait)

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        try:
            with self._own_connection() as connection:
                while not self._try_to_lead(connection):
                    all_is_well()
                    if self._stopping.wait(STANDBY_PAUSE):
                        return
                all_is_well()
                self._lead(connection)
        finally:
            metrics.LEADER.set(0)
            self._feed.drop_session()

    def _lost(self, error: SQLAlchemyError, pause: float) -> None:
        self._log.warning("feeder_lost_database", error=first_line(error), again_in=round(pause, 1))

    @contextmanager
    def _own_connection(self) -> Iterator[Connection]:
        """Closed at the end, and not given back to the pool, where it would keep the lock."""
        with self._engine.connect() as connection:
            try:
                with connection.begin():
                    connection.execute(_SESSION, {"silence": f"{SILENCE * 1000:.0f}"})
                yield connection
            finally:
                connection.invalidate()

    def _try_to_lead(self, connection: Connection) -> bool:
        with connection.begin():
            return try_lock(connection, LEADER_LOCK)

    def _lead(self, connection: Connection) -> None:
        self._log.info("feeder_leads")
        metrics.LEADER.set(1)
        self._feed.begin()
        since = ticks()
        while not self._stopping.is_set():
            self._feed.wait(self._step(connection, may_rescue=ticks() - since >= RESCUE_AFTER), self._stopping)

    def _step(self, connection: Connection, *, may_rescue: bool) -> float:
        """One look at everything; seconds until the next."""
        busy = feeding = False
        room = self._feed.room(connection)
        if may_rescue:
            busy |= rescue_leases(connection, self._slot, self._attempts) > 0
        for mailing in begun_mailings(connection):
            if mailing.over or mailing.cancelled:
                busy |= close_ended(connection, self._slot, mailing) > 0
            if mailing.unlaunched:
                busy |= launch(connection, self._slot, mailing)
            if mailing.window_changed and retime_windows(connection, mailing.id):
                busy = True  # nothing is taken before all are timed anew: what is taken and has to wait looks untimed
            elif mailing.due or mailing.unlaunched:
                room -= self._feed.publish(connection, mailing.id, room) if room > 0 else 0
                feeding = True
        finish_mailings(connection)
        self._show_figures(connection)
        if busy:
            return BUSY_PAUSE
        return min(self._feed.pause() if feeding else self._idle_pause, self._until_next_start(connection))

    def _until_next_start(self, connection: Connection) -> float:
        """Seconds until a mailing starts that no launch job will announce then."""
        seconds = until_next_start(connection)
        return self._idle_pause if seconds is None else max(BUSY_PAUSE, seconds)


# No commit of the leader waits for the disk. If the database crashes, the last ones may be taken back, and are made
# again. Nothing can have been sent of them: a claim is committed, to the disk, after what it claims.
_SESSION = text("""
    select set_config('idle_session_timeout', :silence, false), set_config('synchronous_commit', 'off', false)
""")
