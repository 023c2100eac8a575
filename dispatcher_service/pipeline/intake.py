"""The broker's thread: jobs come in, and are settled when their calls have begun."""

import threading
from collections import deque
from collections.abc import Callable

from dispatcher_service.pipeline.in_hand import PREFETCH, Held
from dispatcher_service.pipeline.settling import Settlement
from shared import metrics
from shared.broker import topology
from shared.broker.base import Broker, Delivery, Session
from shared.clock import ticks
from shared.domain.errors import BrokerError, OutdatedJob, UndecodableJob
from shared.domain.job import DispatchJob
from shared.logs import logger
from shared.loop import keep_serving

HEARTBEAT = 1.0


class Intake:
    """`run` in a thread of its own. `settle` and `hurry` are for the recorder's thread."""

    def __init__(
        self, broker: Broker, hold: Callable[[Held], None], *, stopping: threading.Event, closing: threading.Event
    ) -> None:
        """hold: takes over each job. stopping: nothing new is taken in. closing: settle what there is, and leave."""
        self._broker = broker
        self._hold = hold
        self._stopping, self._closing = stopping, closing
        self._settlements: deque[Settlement] = deque()  # written by the recorder's thread, read by this one
        self._session: Session | None = None  # written by this thread; others only wake it
        self._log = logger()

    # ---- from other threads

    def settle(self, settlement: Settlement) -> None:
        self._settlements.append(settlement)

    def hurry(self) -> None:
        """What is to be settled is settled at once."""
        if self._settlements:
            self.wake()

    def wake(self) -> None:
        session = self._session
        if session is not None:
            session.wake()

    # ---- the thread's own

    def run(self) -> None:
        """Receives and settles, on one connection after the other."""
        keep_serving(self._connect, BrokerError, self._lost, is_over=self._closing.is_set, wait=self._closing.wait)

    def _connect(self, all_is_well: Callable[[], None]) -> None:
        with self._broker.connect() as session:
            session.subscribe([topology.DISPATCH], PREFETCH)
            self._session = session
            self._log.info("broker_connected")
            all_is_well()
            try:
                self._serve(session)
            finally:
                self._session = None

    def _lost(self, error: BrokerError, pause: float) -> None:
        metrics.BROKER_RECONNECTS.inc()
        self._log.warning("broker_lost", error=str(error), again_in=round(pause, 1))
        self._settlements.clear()  # their deliveries come again, and lost wake-ups are found by their due time

    def _serve(self, session: Session) -> None:
        while True:
            while self._settlements:
                self._settle(session, self._settlements.popleft())
            if self._closing.is_set():
                return
            for delivery in session.receive(HEARTBEAT):
                if not self._stopping.is_set():  # else it goes back when the session is closed
                    self._accept(session, delivery)

    def _accept(self, session: Session, delivery: Delivery) -> None:
        metrics.JOBS_RECEIVED.inc()
        try:
            job = DispatchJob.decode(delivery.body)
        except OutdatedJob:
            session.ack(delivery)
            return
        except UndecodableJob as error:
            metrics.JOBS_BURIED.inc()
            self._log.error("job_buried", queue=delivery.queue, reason=str(error))
            session.bury(delivery, str(error))
            return
        self._hold(Held.of(delivery, job, ticks()))

    def _settle(self, session: Session, settlement: Settlement) -> None:
        for queue, bodies in settlement.wake_ups.items():
            session.publish(queue, bodies)
        for delivery in settlement.done:
            session.ack(delivery)
