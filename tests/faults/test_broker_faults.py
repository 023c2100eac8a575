"""RabbitMQ is stopped, emptied, starved and meddled with while a mailing goes out. It carries nothing but ids, so
nothing is lost and nothing is sent twice; and the API does not even notice."""

import itertools
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pika
import pytest

from sandbox.simulator.faults import Fault, Faults
from shared import clock
from shared.broker.topology import DEAD, DISPATCH, LAUNCH, WAKE
from shared.domain.message import MessageState
from tests.e2e.conftest import place, running
from tests.e2e.system import with_status
from tests.faults.stage import DISPATCHER, Stage
from tests.faults.witness import Witness
from tests.support.rabbitmq import Private
from tests.support.waiting import patience

CLIENTS, NEW_CLIENTS = 1_500, 20
CALLS = 32
"""A dispatcher's, at a time."""

RETRY = "mailing.retry.1s"
SLOW, FAST = Faults(latency_ms=400), Faults(latency_ms=50)
SOME_FAIL_ONCE = Faults(rates={Fault.SERVER_ERROR: 0.3}, max_faults_per_id=1, latency_ms=50)
AT_ONCE = 1.0
"""Seconds. An API that waited for the broker would take three at least."""


class Broker:
    """The RabbitMQ of a system, and those who do it harm: each does it at the begin of a block, and ends it with it.

    mailings: of the present test.
    """

    def __init__(self, server: Private, url: str, stage: Stage) -> None:
        self.server, self.url, self.stage = server, url, stage
        self.mailings: list[int] = []

    def mail(self, tag: str) -> int:
        self.mailings.append(self.stage.system.mail(tags=[tag]))
        return self.mailings[-1]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.server.stop()
        yield
        self.server.start()

    @contextmanager
    def wiped(self) -> Iterator[None]:
        yield
        self.server.wipe(self.url)

    @contextmanager
    def closing_connections(self) -> Iterator[None]:
        self.server.close_connections(self.url)
        yield

    @contextmanager
    def low_on_memory(self) -> Iterator[None]:
        before = self._blocked()
        self.server.starve()
        self.mail("new")  # whoever publishes is held up
        self.stage.system.until(lambda: self._blocked() > before, "a publisher is blocked")
        yield
        self.server.reset()

    @contextmanager
    def without_its_queue(self) -> Iterator[None]:
        with self._channel() as channel:
            channel.queue_delete(DISPATCH)
        yield

    @contextmanager
    def with_strangers(self) -> Iterator[None]:
        self.stage.system.expect("job_buried")
        bodies = b"what is this", b"{}", b'{"v": 99, "mailing_id": 1}', b""
        strangers = set(itertools.product((DISPATCH, LAUNCH), bodies))
        with self._channel() as channel:
            channel.confirm_delivery()  # else nobody knows whether they arrived
            for queue, body in strangers:
                channel.basic_publish("", queue, body)
        yield
        self.stage.system.until(lambda: self._dead() >= strangers, "what is not ours is put aside", within=patience(30))
        assert self._dead() == strangers, "ours was put aside"

    @contextmanager
    def with_an_older_retry_queue(self) -> Iterator[None]:
        """A classic one, which knows nothing of confirmed dead-lettering."""
        with self._channel() as channel:
            channel.queue_delete(RETRY)
            arguments = {"x-message-ttl": 1500, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": WAKE}
            channel.queue_declare(RETRY, durable=True, arguments=arguments)
        self.server.close_connections(self.url)
        self.stage.system.simulator.set_faults(SOME_FAIL_ONCE)
        yield

    @contextmanager
    def _channel(self) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            yield connection.channel()

    def _dead(self) -> set[tuple[str, bytes]]:
        """What was put aside, with the queue that it came from. It goes back when the channel is closed."""
        with self._channel() as channel:
            found = iter(lambda: channel.basic_get(DEAD), (None, None, None))
            return {(properties.headers["queue"], body) for _, properties, body in found}

    def _blocked(self) -> int:
        output = self.stage.system.processes.output
        return sum("broker_blocked" in line for name in self.stage.system.dispatchers for line in output(name))


Harm = Callable[[Broker], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest, private_rabbitmq: Private) -> Iterator[Broker]:
    """Of a system that all tests here share: each leaves it whole."""
    with (
        place(request, "rabbitmq") as where,
        running(where, module=DISPATCHER, DISPATCH_CONCURRENCY=str(CALLS)) as system,
        Witness(system.database_url) as witness,
    ):
        system.fill(CLIENTS, tag="running")
        system.fill(NEW_CLIENTS, tag="new")
        assert where.broker_url
        yield Broker(private_rabbitmq, where.broker_url, Stage(system, witness, random.Random(1)))


@pytest.mark.parametrize(
    "harm",
    [
        Broker.stopped,
        Broker.wiped,
        Broker.closing_connections,
        Broker.low_on_memory,
        Broker.without_its_queue,
        Broker.with_strangers,
        Broker.with_an_older_retry_queue,
    ],
    ids=lambda harm: harm.__name__,
)
def test_the_broker_fails(broker: Broker, harm: Harm) -> None:
    stage, system = broker.stage, broker.stage.system
    system.simulator.set_faults(SLOW)
    broker.mailings.clear()
    system.until_sent(broker.mail("running"), CLIENTS // 5)
    try:
        with stage.fault(harm.__name__), harm(broker):
            took = []
            for _ in range(5):
                asked_at = clock.ticks()
                broker.mail("new")
                took.append(clock.ticks() - asked_at)
            assert statistics.median(took) < patience(AT_ONCE, at_most=2.5), "creating a mailing waits for the broker"
        if system.simulator.faults() == SLOW:
            system.simulator.set_faults(FAST)
        broker.mail("new")
        stage.until_healthy()
        messages = {}
        for mailing_id in broker.mailings:
            messages |= system.until_over(mailing_id, within=patience(25))
    finally:
        broker.server.reset()
    print(f"healthy after {stage.worst(harm.__name__):.1f} s; creating a mailing took {max(took):.2f} s at most")

    assert len(messages) == CLIENTS + (len(broker.mailings) - 1) * NEW_CLIENTS
    assert with_status(messages, MessageState.SENT) == messages.keys()
    accounts = stage.accounts()
    assert not accounts.lost
    assert not accounts.unexplained
    accepted = system.simulator.accepted()
    assert {accepted[message_id].count for message_id in messages} == {1}, "sent twice"
    assert {message["attempts"] for message in messages.values()} <= {1, 2}
    assert system.simulator.summary().resent == 0
