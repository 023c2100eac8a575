"""A dispatcher in the test's own process, and the jobs that it is given."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from prometheus_client import REGISTRY
from sqlalchemy import event

from dispatcher_service.leading.lead import Leader
from dispatcher_service.pipeline.worker import Worker
from dispatcher_service.sending.dialect import Dialect
from sandbox.simulator.control import Simulator
from shared.broker import topology
from shared.broker.base import Session
from shared.broker.table import TableBroker
from shared.database.engine import make_engine
from shared.domain.job import DispatchJob, Piece, Urgency
from shared.domain.message import Error
from shared.domain.retry import RetryPolicy
from tests.support.books import Books
from tests.support.dialects import seed_dialect

LADDER = (timedelta(seconds=1), timedelta(seconds=2))
TOKEN = "t0ken-that-nobody-may-see"


def publish(session: Session, mailing_id: int, ids: Sequence[int], chunk: int = 200) -> None:
    pieces = [Piece(mailing_id, 0, Urgency(1, 0.0), tuple(ids[at : at + chunk])) for at in range(0, len(ids), chunk)]
    jobs = [DispatchJob(time.time(), (piece,)).encode() for piece in pieces]
    session.publish(topology.DISPATCH, jobs)


def jobs(books: Books) -> list[tuple[str, str | None]]:
    return [(row.queue, row.reason) for row in books.run("select queue, reason from broker_jobs order by id")]


class Dispatcher:
    """The threads of one dispatcher in this process. Where it does not feed, jobs come from the test alone."""

    def __init__(
        self,
        url: str,
        simulator: Simulator,
        *,
        feeds: bool = False,
        ladder: Sequence[timedelta] = LADDER,
        attempts: int = 10,
        patience: timedelta = timedelta(hours=1),
        timeout: float = 10.0,
        concurrency: int = 50,
        rate: float = 0.0,
        waits_for_standby: bool = False,
        dialects: Sequence[Dialect] = (),
    ) -> None:
        """dialects: of several providers, in the place of the simulator's."""
        self._engine, self._leading = make_engine(url, "dispatcher"), make_engine(url, "dispatcher")
        if waits_for_standby:
            event.listen(self._engine, "connect", _wait_for_standby)
            event.listen(self._leading, "connect", _wait_for_standby)
        broker = TableBroker(url, ladder, lease=2.0)
        self.worker = Worker(
            self._engine,
            broker,
            RetryPolicy(ladder, attempts, patience),
            dialects or [seed_dialect(simulator.url, TOKEN, timeout=timeout, concurrency=concurrency)],
            rate=rate,
        )
        self._feeder = (
            Leader(self._leading, broker, attempts=attempts, rate=rate, concurrency=concurrency) if feeds else None
        )

    def __enter__(self) -> Self:
        self.worker.start()
        if self._feeder:
            self._feeder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feeder:
            self._feeder.stop()
            self._feeder.join(10)
        assert self.worker.is_alive
        assert self.worker.stop()
        self._engine.dispose()
        self._leading.dispose()


def _wait_for_standby(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = on")
    connection.commit()


def is_open(reason: Error) -> bool:
    """Whether the breaker is, for that reason."""
    return REGISTRY.get_sample_value("dispatcher_breaker_open", {"provider": "seed", "reason": str(reason)}) == 1


def settled(books: Books, mailing_id: int, **states: int) -> Callable[[], bool]:
    """Whether the messages are in these states, and no job is left."""
    return lambda: books.states(mailing_id) == states and not jobs(books)
