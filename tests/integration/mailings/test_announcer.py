"""Launch jobs reach the broker if it is there, and nobody notices if it is not."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Self

import pytest
from prometheus_client import REGISTRY

from api_service.mailings import announcer
from api_service.mailings.announcer import BackgroundAnnouncer
from shared import clock
from shared.broker.table import TableBroker
from shared.broker.topology import LAUNCH
from shared.domain.errors import BrokerUnavailable
from shared.domain.job import LaunchJob
from shared.domain.retry import DEFAULT_LADDER
from tests.support.waiting import wait_until


class FlakyBroker:
    """A broker whose faults can be had on demand. `stored`: what it has confirmed."""

    def __init__(self) -> None:
        self.stored: list[int] = []
        self.connections = 0
        self.down = False
        self.broken = False  # the present connection
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()

    def connect(self) -> Any:
        self.asked.set()
        self.answers.wait(20)
        if self.down:
            raise BrokerUnavailable("refused")
        self.connections += 1
        self.broken = False
        return self

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        assert queue == LAUNCH
        if self.down or self.broken:
            raise BrokerUnavailable("lost")
        self.stored += [LaunchJob.decode(body).mailing_id for body in bodies]

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self


@pytest.fixture
def broker() -> FlakyBroker:
    return FlakyBroker()


@pytest.fixture
def subject(broker: FlakyBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackgroundAnnouncer]:
    monkeypatch.setattr(announcer, "BACK_OFF", (0.01,))
    subject = BackgroundAnnouncer(broker)
    yield subject
    broker.answers.set()
    subject.close(5)


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("api_launch_jobs_total", {"result": result}) or 0.0


def test_jobs_are_published_in_order_over_one_connection(subject: BackgroundAnnouncer, broker: FlakyBroker) -> None:
    before = counted("published")
    for mailing_id in range(1, 51):
        subject.announce(mailing_id)
    wait_until(lambda: len(broker.stored) == 50)
    assert (broker.stored, broker.connections) == (list(range(1, 51)), 1)
    wait_until(lambda: counted("published") - before == 50)


def test_a_connection_that_broke_while_idle_costs_no_job(subject: BackgroundAnnouncer, broker: FlakyBroker) -> None:
    subject.announce(1)
    wait_until(lambda: broker.stored == [1])
    broker.broken = True
    subject.announce(2)
    wait_until(lambda: broker.stored == [1, 2])
    assert broker.connections == 2


def test_a_broker_that_is_down_is_counted_and_tried_again(subject: BackgroundAnnouncer, broker: FlakyBroker) -> None:
    before = counted("failed")
    broker.down = True
    subject.announce(1)
    wait_until(lambda: counted("failed") - before == 1)
    broker.down = False
    subject.announce(2)
    wait_until(lambda: broker.stored == [2])


def test_a_broker_that_hangs_delays_nobody(subject: BackgroundAnnouncer, broker: FlakyBroker) -> None:
    broker.answers.clear()
    before = counted("dropped")
    subject.announce(1)
    assert broker.asked.wait(5)
    begun = clock.ticks()
    for mailing_id in range(2, announcer.CAPACITY + 102):
        subject.announce(mailing_id)
    assert clock.ticks() - begun < 10
    assert counted("dropped") - before == 100
    broker.answers.set()
    wait_until(lambda: broker.stored == list(range(1, announcer.CAPACITY + 2)))


def test_closing_lets_what_is_queued_go_out(subject: BackgroundAnnouncer, broker: FlakyBroker) -> None:
    broker.answers.clear()
    for mailing_id in (1, 2, 3):
        subject.announce(mailing_id)
    broker.answers.set()
    subject.close(5)
    assert broker.stored == [1, 2, 3]


def test_closing_does_not_wait_for_a_broker_that_hangs(subject: BackgroundAnnouncer, broker: FlakyBroker) -> None:
    broker.answers.clear()
    subject.announce(1)
    begun = clock.ticks()
    subject.close(0.2)
    assert clock.ticks() - begun < 10


def test_the_real_thing(database_url: str) -> None:
    broker = TableBroker(database_url, DEFAULT_LADDER)
    subject = BackgroundAnnouncer(broker)
    subject.announce(7)
    with broker.connect() as session:
        session.subscribe([LAUNCH], 10)
        (delivery,) = session.receive(10)
        assert LaunchJob.decode(delivery.body) == LaunchJob(7)
        session.ack(delivery)
    subject.close(5)
