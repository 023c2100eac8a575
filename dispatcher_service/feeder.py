"""The feeder: launches due mailings, keeps a bounded backlog on the broker, rescues, closes what is over.

One process leads, by an advisory lock on the connection that does all its work, so that a leader that lost the lock
can write nothing; the others stand by. It works without a broker as well: only publishing waits for it.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.backlog import Backlog
from shared import metrics
from shared.broker import topology
from shared.broker.backoff import backoff
from shared.broker.base import Broker, Session
from shared.clock import ticks
from shared.database.engine import first_line, try_lock
from shared.domain.errors import BrokerError, UndecodableJob
from shared.domain.job import DispatchJob, LaunchJob
from shared.domain.mailing import ENDED, MailingState, mailing_state
from shared.domain.message import OPEN_STATES, MessageState
from shared.ledger.entries import any_slot, open_entries
from shared.ledger.figures import read_figures
from shared.logs import logger
from shared.messages.close import close_messages
from shared.messages.create import create_messages
from shared.messages.hand_back import hand_back
from shared.messages.make_due import make_due
from shared.messages.rescue import rescue_messages
from shared.messages.retime import retime_messages
from shared.messages.take import take_messages

LEADER_LOCK = 0x66656564  # "feed"
CHUNK = 200
"""Messages per job, at the most."""

FIRST_SLICE, LAUNCH_SLICE = 2_500, 25_000
"""Messages that are created at a time: few at first, so that they can be sent while the others are created."""

CLOSE_SLICE = 5_000
BUSY_PAUSE = 0.01
IDLE_PAUSE = 0.25
STANDBY_PAUSE = 1.0
RESCUE_AFTER = 5.0
"""Seconds after taking the lead: when the database comes back, dispatchers first write what they know."""

SILENCE = 15.0
"""Seconds after which the server ends a leader's session that says nothing: so a leader that is frozen, or cut off,
loses the lead. One that is well is silent for no longer than it waits for the broker."""

FIGURES_EVERY = 2.0


class Feeder:
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
        self._broker = broker
        self._attempts = attempts
        self._chunk = _chunk(rate, concurrency)
        self._idle_pause = idle_pause
        self._slot = any_slot()
        self._log = logger()
        self._stopping = threading.Event()
        self._backlog = Backlog()
        self._session: Session | None = None
        self._connect_pauses = backoff()
        self._connect_at = 0.0
        self._jobs_may_be_lost = False
        self._figures_at = 0.0
        self._thread = threading.Thread(target=self.run, name="feeder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        session = self._session
        if session is not None:
            session.wake()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def run(self) -> None:
        pauses = backoff()
        while not self._stopping.is_set():
            try:
                with self._own_connection() as connection:
                    while not self._try_to_lead(connection):
                        pauses = backoff()
                        if self._stopping.wait(STANDBY_PAUSE):
                            return
                    pauses = backoff()
                    self._lead(connection)
            except SQLAlchemyError as error:
                pause = next(pauses)
                self._log.warning("feeder_lost_database", error=first_line(error), again_in=round(pause, 1))
                self._stopping.wait(pause)
            finally:
                metrics.LEADER.set(0)
                self._drop_session()

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
        self._jobs_may_be_lost = True  # the one before may have ended before it had published what it had queued
        since = ticks()
        while not self._stopping.is_set():
            self._wait(self._step(connection, may_rescue=ticks() - since >= RESCUE_AFTER))

    def _step(self, connection: Connection, *, may_rescue: bool) -> float:
        """One look at everything; seconds until the next."""
        busy = feeding = False
        room = self._room(connection)
        if may_rescue:
            busy |= self._rescue(connection) > 0
        for mailing in self._walk(connection):
            if mailing.over or mailing.cancelled:
                busy |= self._close(connection, mailing) > 0
            if mailing.unlaunched:
                busy |= self._launch(connection, mailing)
            if mailing.window_changed and self._time_anew(connection, mailing.id):
                busy = True  # nothing is taken before all are timed anew: what is taken and has to wait looks untimed
            elif mailing.due or mailing.unlaunched:
                room -= self._feed(connection, mailing.id, room) if room > 0 else 0
                feeding = True
        self._finish(connection)
        self._show_figures(connection)
        if busy:
            return BUSY_PAUSE
        return min(self._backlog.pause() if feeding else self._idle_pause, self._until_next_start(connection))

    def _walk(self, connection: Connection) -> Sequence[Row[tuple[object, ...]]]:
        """The mailings that have begun and are not finished, nearest end first."""
        with connection.begin():
            return connection.execute(WALK).all()

    def _until_next_start(self, connection: Connection) -> float:
        """Seconds until a mailing starts that no launch job will announce then."""
        with connection.begin():
            seconds = connection.scalar(NEXT_START)
        return self._idle_pause if seconds is None else max(BUSY_PAUSE, seconds)

    # ---------------------------------------------------------------- what a step does

    def _launch(self, connection: Connection, mailing: Row[tuple[object, ...]]) -> bool:
        limit = LAUNCH_SLICE if mailing.audience else FIRST_SLICE
        with connection.begin(), open_entries(connection, self._slot) as entries:
            made = create_messages(connection, entries, mailing.id, limit)
        metrics.MESSAGES_CREATED.inc(made.count)
        if made.complete:
            self._log.info("mailing_launched", mailing_id=mailing.id)
        return made.count > 0

    def _close(self, connection: Connection, mailing: Row[tuple[object, ...]]) -> int:
        state = MessageState.CANCELLED if mailing.cancelled else MessageState.EXPIRED
        with connection.begin(), open_entries(connection, self._slot) as entries:
            closed = close_messages(connection, entries, mailing.id, state, CLOSE_SLICE)
        metrics.MESSAGES_CLOSED.labels(state).inc(closed)
        return closed

    def _rescue(self, connection: Connection) -> int:
        with connection.begin(), open_entries(connection, self._slot) as entries:
            rescued = rescue_messages(connection, entries, self._attempts, CLOSE_SLICE)
        metrics.MESSAGES_RESCUED.inc(rescued)
        if rescued:
            self._log.warning("leases_ran_out", count=rescued)
        return rescued

    def _time_anew(self, connection: Connection, mailing_id: int) -> bool:
        """After a change of the send window, slice by slice; the flag goes with the last one."""
        with connection.begin():
            connection.execute(_LOCK, {"mailing_id": mailing_id})
            more = retime_messages(connection, mailing_id, CLOSE_SLICE) > 0
            if not more:
                connection.execute(_WINDOW_IS_KNOWN, {"mailing_id": mailing_id})
        return more

    def _feed(self, connection: Connection, mailing_id: int, room: int) -> int:
        """Puts due messages of a mailing on the broker; how many jobs, at most `room`."""
        session = self._session
        if session is None:
            return 0
        with connection.begin(), open_entries(connection, self._slot) as entries:
            ids = take_messages(connection, entries, mailing_id, room * self._chunk)
        if not ids:
            return 0
        jobs = [DispatchJob(mailing_id, tuple(chunk)).encode() for chunk in _chunks(ids, self._chunk)]
        try:
            session.publish(topology.DISPATCH, jobs)
        except BrokerError as error:
            self._broker_failed(error)
            with connection.begin(), open_entries(connection, self._slot) as entries:
                hand_back(connection, entries, mailing_id, ids)
            return 0
        self._backlog.published(len(jobs))
        metrics.MESSAGES_PUBLISHED.inc(len(ids))
        return len(jobs)

    def _finish(self, connection: Connection) -> None:
        with connection.begin():
            finished = connection.scalars(FINISH).all()
        for mailing_id in finished:
            self._log.info("mailing_finished", mailing_id=mailing_id)

    def _show_figures(self, connection: Connection) -> None:
        if ticks() < self._figures_at:
            return
        self._figures_at = ticks() + FIGURES_EVERY
        with connection.begin():
            now = connection.scalar(text("select now()"))
            mailings = connection.execute(_OPEN_MAILINGS).all()
            figures = read_figures(connection, [mailing.id for mailing in mailings])
        for state in set(MailingState) - ENDED:
            metrics.MAILINGS.labels(state).set(sum(mailing_state(mailing, now) == state for mailing in mailings))
        for open_state in OPEN_STATES:
            metrics.MESSAGES.labels(open_state).set(sum(figure.states[open_state] for figure in figures.values()))
        metrics.LEDGER_DIFFERENCE.set(sum(figure.audience - sum(figure.states.values()) for figure in figures.values()))

    # ---------------------------------------------------------------- the broker

    def _room(self, connection: Connection) -> int:
        """How many jobs to publish in this step. What is queued while the broker is empty may have been lost."""
        session = self._connected()
        if session is None:
            return 0
        try:
            depth = session.depth(topology.DISPATCH)
        except BrokerError as error:
            self._broker_failed(error)
            return 0
        if self._jobs_may_be_lost and depth == 0:
            with connection.begin():
                make_due(connection)
            self._jobs_may_be_lost = False
        metrics.BACKLOG.set(depth)
        return self._backlog.room(depth, ticks())

    def _connected(self) -> Session | None:
        if self._session is None and ticks() >= self._connect_at:
            try:
                self._session = self._broker.connect()
                self._session.subscribe([topology.LAUNCH], 10)
                self._connect_pauses = backoff()
            except BrokerError as error:
                self._broker_failed(error)
        return self._session

    def _broker_failed(self, error: BrokerError) -> None:
        pause = next(self._connect_pauses)
        self._jobs_may_be_lost = True
        self._log.warning("feeder_lost_broker", error=str(error), again_in=round(pause, 1))
        self._drop_session()
        self._connect_at = ticks() + pause

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _wait(self, seconds: float) -> None:
        """Until the next step is due; a launch job ends it early."""
        session = self._session
        if session is None:
            self._stopping.wait(seconds)
            return
        try:
            for delivery in session.receive(seconds):
                try:
                    LaunchJob.decode(delivery.body)  # that it came is all it says: the walk finds the mailing
                    session.ack(delivery)
                except UndecodableJob as error:
                    self._log.error("job_buried", queue=delivery.queue, reason=str(error))
                    session.bury(delivery, str(error))
        except BrokerError as error:
            self._broker_failed(error)


def _chunk(rate: float, concurrency: int) -> int:
    """Messages per job: no more than a dispatcher sends at a time. What it has received lies ahead of mailings that are
    more urgent and is kept from dispatchers that are idle, so it must not be more than can be sent soon."""
    chunk = min(CHUNK, concurrency)
    return min(chunk, max(1, int(rate / 2))) if rate else chunk


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


# A paused mailing is launched only to be closed, when its end has passed.
WALK = text("""
    select id, audience, over, cancelled, window_changed, launched_at is null and not cancelled as unlaunched,
           not over and not cancelled and (
               select due_at from messages where mailing_id = mailings.id
                 and status in ('pending', 'queued', 'retrying') order by due_at limit 1) <= now() as due
    from mailings, lateral (select ends_at <= now() as over, cancelled_at is not null as cancelled) state
    where finished_at is null and (cancelled or over or starts_at <= now() and paused_at is null)
    order by ends_at, id
""")
# Whatever has started by now was launched by this step, or keeps it busy.
NEXT_START = text("""
    select extract(epoch from min(starts_at) - clock_timestamp())::float from mailings
    where launched_at is null and finished_at is null and cancelled_at is null and paused_at is null
""")
# No commit of the feeder waits for the disk. If the database crashes, the last ones may be taken back, and are made
# again. Nothing can have been sent of them: a claim is committed, to the disk, after what it claims.
_SESSION = text("""
    select set_config('idle_session_timeout', :silence, false), set_config('synchronous_commit', 'off', false)
""")
_OPEN_MAILINGS = text("""
    select id, starts_at, ends_at, paused_at, cancelled_at, finished_at from mailings where finished_at is null
""")
_LOCK = text("select from mailings where id = :mailing_id for update")
_WINDOW_IS_KNOWN = text("update mailings set window_changed = false where id = :mailing_id")
# By the ledger: every message of the audience is in a final state.
FINISH = text("""
    update mailings g set finished_at = now()
    where finished_at is null and (launched_at is not null or cancelled_at is not null)
      and audience = (select coalesce(sum(sent + failed + unknown + expired + cancelled), 0)
                      from mailing_counters c where c.mailing_id = g.id)
    returning id
""")
