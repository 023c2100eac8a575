"""The two brokers as the contract suite sees them: the adapter, and how to do it harm."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pika
import pytest
from sqlalchemy import Engine, select, text

from shared.broker.backoff import backoff
from shared.broker.base import Broker, Delivery, Session
from shared.broker.rabbitmq import RabbitMQ
from shared.broker.table import TableBroker
from shared.broker.topology import DEAD, retry_queue
from shared.database.models import BrokerJob
from shared.domain.errors import BrokerUnavailable
from tests.support.rabbitmq import External, Private
from tests.support.superuser import superuser
from tests.support.waiting import patience

LADDER = (timedelta(seconds=1), timedelta(seconds=2), timedelta(hours=1))
ONE_SECOND, TWO_SECONDS, ONE_HOUR = map(retry_queue, LADDER)

BEAT = 1
"""Seconds: the heartbeat of RabbitMQ and the lease of the table where a test wants to see them end. A session with so
short a one has to be looked after all the time: while a process starts on a busy machine it would be lost."""

PATIENT = 60
"""The same for all other sessions, which no test outlasts."""

_CONSUMER = """
import sys, time
from tests.contract.conftest import adapter
session = adapter(sys.argv[1]).connect()
session.subscribe([sys.argv[2]], 10)
jobs = []
while not jobs:
    jobs = session.receive(1)
print(len(jobs), flush=True)
while True:
    session.receive(0.1)
"""


def adapter(url: str, beat: int = PATIENT) -> Broker:
    return RabbitMQ(url, LADDER, heartbeat=beat) if url.startswith("amqp") else TableBroker(url, LADDER, lease=beat)


@dataclass
class UnderTest:
    """A broker under test.

    break_off: ends all of its connections. restart: it goes down and comes up again, as far as it can without the
    database of all tests. reasons: of the jobs in the dead queue.
    """

    url: str
    break_off: Callable[[], None]
    restart: Callable[[], None]
    reasons: Callable[[], list[str]]

    def __post_init__(self) -> None:
        self.broker = adapter(self.url)
        self._sessions: list[Session] = []

    def connect(self, beat: int = PATIENT) -> Session:
        """A session that is closed after the test."""
        session = adapter(self.url, beat).connect()
        self._sessions.append(session)
        return session

    def consumer(self, queue: str, prefetch: int = 10, beat: int = PATIENT) -> Session:
        session = self.connect(beat)
        session.subscribe([queue], prefetch)
        return session

    def reconnect(self) -> Session:
        """As the product does it: again and again."""
        deadline = time.monotonic() + 60
        for pause in backoff():
            with suppress(BrokerUnavailable):
                return self.connect()
            assert time.monotonic() < deadline, "the broker did not come back"
            time.sleep(pause)
        raise AssertionError

    @contextmanager
    def consuming_process(self, queue: str) -> Iterator[subprocess.Popen[str]]:
        """A process that has received a job and keeps it."""
        command = [sys.executable, "-c", _CONSUMER, self.url, queue]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            try:
                assert process.stdout
                assert process.stdout.readline() == "1\n"
                yield process
            finally:
                process.kill()

    def close(self) -> None:
        for session in self._sessions:
            session.close()


@pytest.fixture(params=["rabbitmq", "table"])
def under_test(request: pytest.FixtureRequest) -> UnderTest:
    under_test: UnderTest = request.getfixturevalue(f"{request.param}_under_test")
    return under_test


@pytest.fixture
def breakable(under_test: UnderTest, request: pytest.FixtureRequest) -> UnderTest:
    """One whose `break_off` and `restart` may be called: a RabbitMQ of somebody else is spared."""
    if under_test.url.startswith("amqp"):
        request.getfixturevalue("private_rabbitmq")
    return under_test


@pytest.fixture
def rabbitmq_under_test(rabbitmq: External | Private, rabbitmq_url: str) -> Iterator[UnderTest]:
    def break_off() -> None:
        assert isinstance(rabbitmq, Private)
        rabbitmq.control("close_all_connections", "--vhost", urlsplit(rabbitmq_url).path[1:], "test")

    def restart() -> None:
        assert isinstance(rabbitmq, Private)
        rabbitmq.stop()
        rabbitmq.start()

    def reasons() -> list[str]:
        with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
            channel = connection.channel()
            jobs = iter(lambda: channel.basic_get(DEAD), (None, None, None))
            return [properties.headers["reason"] for _, properties, _ in jobs]

    with closing(UnderTest(rabbitmq_url, break_off, restart, reasons)) as under_test:
        yield under_test


@pytest.fixture
def table_under_test(database_url: str, engine: Engine) -> Iterator[UnderTest]:
    def break_off() -> None:
        with superuser(engine) as connection:
            connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and application_name = 'broker'"
                )
            )

    def reasons() -> list[str]:
        with engine.connect() as connection:
            rows = connection.execute(select(BrokerJob.reason).where(BrokerJob.queue == DEAD).order_by(BrokerJob.id))
            return [reason or "" for reason in rows.scalars()]

    with closing(UnderTest(database_url, break_off, break_off, reasons)) as under_test:
        yield under_test


def receive(session: Session, count: int, within: float = 10.0) -> list[Delivery]:
    """The next jobs, exactly so many."""
    deadline = time.monotonic() + patience(within)
    deliveries: list[Delivery] = []
    while len(deliveries) < count and time.monotonic() < deadline:
        deliveries += session.receive(0.2)
    assert len(deliveries) == count
    return deliveries


def bodies(deliveries: list[Delivery]) -> list[bytes]:
    return [delivery.body for delivery in deliveries]


def settle(session: Session) -> None:
    """Gives acks the time to arrive."""
    session.receive(0.1)
