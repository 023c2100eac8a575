"""What is due goes to the broker, in jobs, and no more of them than the dispatchers need."""

import threading
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from dispatcher_service.leading.backlog import Backlog
from shared import metrics
from shared.broker import topology
from shared.broker.backoff import backoff
from shared.broker.base import Broker, Session
from shared.clock import ticks
from shared.domain.errors import BrokerError, UndecodableJob
from shared.domain.job import DispatchJob, LaunchJob
from shared.ledger.entries import open_entries
from shared.logs import logger
from shared.messages.hand_back import hand_back
from shared.messages.make_due import make_due
from shared.messages.take import take_messages

CHUNK = 200
"""Messages per job, at the most."""


class Feed:
    """The leader's side of the broker. Belongs to its thread; only `wake` may be called from others."""

    def __init__(self, broker: Broker, slot: int, *, rate: float, concurrency: int) -> None:
        """rate, concurrency: as the dispatchers have them."""
        self._broker = broker
        self._slot = slot
        self._chunk = _chunk(rate, concurrency)
        self._log = logger()
        self._backlog = Backlog()
        self._session: Session | None = None
        self._connect_pauses = backoff()
        self._connect_at = 0.0
        self._jobs_may_be_lost = False

    def begin(self) -> None:
        """The lead was taken. The one before may have ended before it had published what it had queued."""
        self._jobs_may_be_lost = True

    def room(self, connection: Connection) -> int:
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

    def publish(self, connection: Connection, mailing_id: int, room: int) -> int:
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

    def pause(self) -> float:
        """Seconds until there is room again, as far as can be told."""
        return self._backlog.pause()

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        """Until the next step is due; a launch job ends it early."""
        session = self._session
        if session is None:
            stopping.wait(seconds)
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

    def wake(self) -> None:
        """Ends a running or the next `wait` early."""
        session = self._session
        if session is not None:
            session.wake()

    def drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

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
        self.drop_session()
        self._connect_at = ticks() + pause


def _chunk(rate: float, concurrency: int) -> int:
    """Messages per job: no more than a dispatcher sends at a time. What it has received lies ahead of mailings that are
    more urgent and is kept from dispatchers that are idle, so it must not be more than can be sent soon."""
    chunk = min(CHUNK, concurrency)
    return min(chunk, max(1, int(rate / 2))) if rate else chunk


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
