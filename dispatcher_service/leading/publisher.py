"""The leader's side of the broker, on a thread of its own: a broker that is slow or silent keeps nobody but itself."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from dispatcher_service.leading.backlog import LATEST, Backlog
from dispatcher_service.leading.fair_share import Lane
from dispatcher_service.leading.own_thread import OwnThread
from shared import metrics
from shared.broker import topology
from shared.broker.base import Broker, Session
from shared.clock import ticks
from shared.domain.errors import BrokerError, UndecodableJob
from shared.domain.job import LaunchJob, WakeUp
from shared.logs import logger


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs, the lanes that they have messages of, and how many."""

    lanes: Sequence[Lane]
    jobs: Sequence[bytes]
    messages: int


@dataclass(frozen=True, slots=True)
class Room:
    """What the broker has room for. jobs: how many. losses: how often it may have lost jobs so far."""

    jobs: int
    losses: int


PREFETCH = 100
"""Of what wakes the leader: after an outage much of it comes at once, and nothing of it is kept."""


class Publisher(OwnThread):
    """Looks how much room there is on the broker, publishes what is handed over for it, and only then looks again.

    So no more than the jobs for which there was room are on their way. For as long as the process leads.
    """

    name, loss, told_as = "publisher", BrokerError, "feeder_lost_broker"

    def __init__(self, broker: Broker, wake_leader: Callable[[], None]) -> None:
        """wake_leader: called where there is something for the leading thread to do."""
        super().__init__()
        self._broker = broker
        self._wake_leader = wake_leader
        self._log = logger()
        self._backlog = Backlog()
        self._session: Session | None = None  # written by this thread; others only wake it

        self._lock = threading.Lock()  # of what follows
        self._is_connected = False
        self._is_feeding = False  # the leading thread uses the room
        self._is_wanted = False  # it has something to publish
        self._room = 0  # what is left of it
        self._losses = 0  # of the session
        self._woken: dict[int, list[int]] = defaultdict(list)  # messages that are worth a look, by mailing
        self._handed: deque[Batch] = deque()
        self._failed: deque[Batch] = deque()
        self._given = 0  # the highest id that is to be remembered; 0: nothing new

    def stop(self) -> None:
        super().stop()
        self._wake()

    # ---- for the leading thread

    def begin(self) -> Room:
        """What the last look found; it may be used now. Until `end` there is no further one."""
        with self._lock:
            self._is_feeding = True
            return Room(self._room, self._losses)

    def hand_over(self, batch: Batch) -> None:
        """It is published, or comes back from `take_failed`."""
        with self._lock:
            self._room -= len(batch.jobs)
            (self._handed if self._is_connected else self._failed).append(batch)
        self._wake()

    def end(self, *, is_wanted: bool) -> None:
        """is_wanted: there is something to publish, as far as there is room."""
        with self._lock:
            self._is_feeding, self._is_wanted = False, is_wanted
        if is_wanted:
            self._wake()

    def take_failed(self) -> list[Batch]:
        """Batches of which nobody knows whether the broker has them."""
        with self._lock:
            failed = list(self._failed)
            self._failed.clear()
            return failed

    def take_woken(self) -> Mapping[int, Sequence[int]]:
        """Messages that somebody asked to be looked at since the last time, by mailing."""
        with self._lock:
            woken, self._woken = self._woken, defaultdict(list)
            return woken

    def remember(self, given: int) -> None:
        """The highest id that was given, for the broker to keep. What is lost with a session is told again."""
        with self._lock:
            self._given = given
        self._wake()

    # ---- the thread's own

    def _lost(self, error: Exception, pause: float) -> None:
        metrics.BROKER_RECONNECTS.inc()
        super()._lost(error, pause)

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        with closing(self._broker.connect()) as session:
            session.subscribe([topology.LAUNCH, topology.WAKE], PREFETCH)
            self._session = session
            all_is_well()
            with self._lock:
                self._is_connected = True
            try:
                while not self._stopping.is_set():
                    pause = self._look(session)
                    self._publish_until(session, ticks() + pause)
            finally:
                self._session = None
                self._give_up()

    def _look(self, session: Session) -> float:
        """Finds out how much room there is; seconds until the next look. What the last one found may be used
        meanwhile."""
        with self._lock:
            if self._is_feeding or self._handed:
                return 0.0  # what is on its way now would not be counted
            before = self._room
        depth = session.depth(topology.DISPATCH)
        metrics.BACKLOG.set(depth)
        with self._lock:
            self._room += self._backlog.room(depth, ticks()) - before  # less what was handed over since
        if self._room > 0 and self._is_wanted:
            self._wake_leader()
            return LATEST  # so long it has to make use of it
        return self._pause()

    def _publish_until(self, session: Session, moment: float) -> None:
        """What is handed over, until it is time for the next look."""
        while not self._stopping.is_set():
            self._tell(session)
            if batches := self._take_handed():
                self._publish(session, batches)
                moment = ticks() + self._pause()
            elif (left := moment - ticks()) > 0 or self._is_feeding:
                self._receive(session, max(left, 0) or LATEST)
            else:
                return

    def _tell(self, session: Session) -> None:
        if given := self._given:
            session.remember(given)
            with self._lock:
                self._given = 0 if self._given == given else self._given

    def _pause(self) -> float:
        return self._backlog.pause() if self._is_wanted else LATEST

    def _take_handed(self) -> list[Batch]:
        with self._lock:
            handed = list(self._handed)
            self._handed.clear()
            return handed

    def _publish(self, session: Session, batches: Sequence[Batch]) -> None:
        jobs = [job for batch in batches for job in batch.jobs]
        try:
            session.publish(topology.DISPATCH, jobs)
        except BrokerError:
            with self._lock:
                self._failed.extend(batches)
            raise
        self._backlog.published(len(jobs))
        metrics.MESSAGES_PUBLISHED.inc(sum(batch.messages for batch in batches))

    def _receive(self, session: Session, seconds: float) -> None:
        """Until there is something to do. That a launch job came is all it says: the leader finds the mailing."""
        for delivery in session.receive(seconds):
            try:
                if delivery.queue == topology.WAKE:
                    self._take_wake_up(WakeUp.decode(delivery.body))
                else:
                    LaunchJob.decode(delivery.body)
                session.ack(delivery)
            except UndecodableJob as error:
                self._log.error("job_buried", queue=delivery.queue, reason=str(error))
                session.bury(delivery, str(error))
            self._wake_leader()

    def _take_wake_up(self, job: WakeUp) -> None:
        with self._lock:
            self._woken[job.mailing_id].extend(job.message_ids)

    def _give_up(self) -> None:
        """The session is lost, and with it perhaps what the broker had."""
        with self._lock:
            self._is_connected = False
            self._room = 0
            self._losses += 1
            self._failed.extend(self._handed)
            self._handed.clear()
        self._wake_leader()

    def _wake(self) -> None:
        session = self._session
        if session is not None:
            session.wake()
