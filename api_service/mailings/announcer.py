"""Puts launch jobs on the broker, behind the back of the requests: a broker that is down or slow costs them nothing.

A job is a head start and no more: the feeder launches due mailings by itself. So it is tried, counted and forgotten.
"""

import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

from shared import logs
from shared.broker import topology
from shared.broker.base import Broker, Session
from shared.domain.errors import BrokerError
from shared.domain.job import LaunchJob
from shared.metrics import LAUNCH_JOBS, begin

CAPACITY = 1000
LINGER = 5.0
"""Seconds for which an idle connection is kept; longer ones would have to be kept alive."""
BACK_OFF = (0.2, 1.0, 5.0)
"""Seconds without an attempt after the first, second, and every further failure in a row."""

_log = logs.logger()


class BackgroundAnnouncer:
    """One thread, which starts with the first announcement: threads do not survive a fork."""

    def __init__(self, broker: Broker) -> None:
        begin(LAUNCH_JOBS, ("published", "failed", "dropped"))
        self._broker = broker
        self._queue: queue.Queue[int | None] = queue.Queue(CAPACITY)  # None: close
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._session: Session | None = None
        self._failures = 0

    def announce(self, mailing_id: int) -> None:
        """Returns at once, never raises."""
        self._start()
        try:
            self._queue.put_nowait(mailing_id)
        except queue.Full:
            LAUNCH_JOBS.labels("dropped").inc()
            _log.warning("launch_job_dropped", mailing_id=mailing_id)

    def close(self, timeout: float) -> None:
        """Lets what is queued go out, for `timeout` seconds at the most. Nothing may be announced afterwards."""
        self._closing.set()
        if self._thread is not None:
            with suppress(queue.Full):
                self._queue.put_nowait(None)
            self._thread.join(timeout)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        going_on = True
        while going_on:
            waiting = self._waiting()
            going_on = None not in waiting
            if mailing_ids := [mailing_id for mailing_id in waiting if mailing_id is not None]:
                self._publish(mailing_ids)
            else:
                self._disconnect()

    def _waiting(self) -> list[int | None]:
        """What waits by now. With a connection open, [] if nothing came for a while."""
        waiting: list[int | None] = []
        with suppress(queue.Empty):
            waiting.append(self._queue.get(timeout=LINGER if self._session else None))
            while True:
                waiting.append(self._queue.get_nowait())
        return waiting

    def _publish(self, mailing_ids: Sequence[int]) -> None:
        try:
            self._send([LaunchJob(mailing_id).encode() for mailing_id in mailing_ids])
        except Exception as error:
            self._disconnect()
            LAUNCH_JOBS.labels("failed").inc(len(mailing_ids))
            expected = isinstance(error, BrokerError)
            _log.warning("launch_jobs_failed", mailing_ids=mailing_ids, error=str(error), exc_info=not expected)
            self._closing.wait(BACK_OFF[min(self._failures, len(BACK_OFF) - 1)])
            self._failures += 1
        else:
            self._failures = 0
            LAUNCH_JOBS.labels("published").inc(len(mailing_ids))

    def _send(self, jobs: Sequence[bytes]) -> None:
        """A connection that was kept may have broken since: then once more on a new one."""
        if self._session is not None:
            try:
                return self._session.publish(topology.LAUNCH, jobs)
            except BrokerError:
                self._disconnect()
        self._session = self._broker.connect()
        return self._session.publish(topology.LAUNCH, jobs)

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
