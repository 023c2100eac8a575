"""What only RabbitMQ can do to us."""

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import pika
import pytest
from structlog.testing import capture_logs

from shared.broker import topology
from shared.broker.base import Delivery, Session
from shared.broker.memory import recall
from shared.broker.rabbitmq import DELIVERY_LIMIT, RabbitMQ, _arguments
from shared.broker.topology import DEAD, DISPATCH, WAKE
from shared.domain.errors import BrokerUnavailable, SettingsError
from shared.domain.retry import DEFAULT_LADDER
from tests.contract.conftest import LADDER, ONE_SECOND, UnderTest, bodies, receive
from tests.support.rabbitmq import External, Private

T = TypeVar("T")

PATIENCE = 1.0


@pytest.fixture
def raw(rabbitmq_url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """A channel past the adapter."""
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        yield connection.channel()


@pytest.fixture
def faulty(private_rabbitmq: Private) -> Iterator[Private]:
    yield private_rabbitmq
    private_rabbitmq.reset()


# ---------------------------------------------------------------- the queues


def test_every_queue_survives_and_none_loses_what_it_dead_letters(private_rabbitmq: Private, rabbitmq_url: str) -> None:
    RabbitMQ(rabbitmq_url, DEFAULT_LADDER).connect().close()
    queues = private_rabbitmq.queues(rabbitmq_url)
    assert queues.keys() == {queue.name for queue in topology.queues(DEFAULT_LADDER)}
    for name, queue in queues.items():
        assert queue["durable"], name
        assert queue["type"] == "quorum", name
        if name not in (DEAD, topology.IDS):
            assert queue["arguments"]["x-dead-letter-strategy"] == "at-least-once", name
            assert queue["arguments"]["x-overflow"] == "reject-publish", name
    rung = queues["mailing.retry.2m"]["arguments"]
    assert rung["x-message-ttl"] == 120_000
    assert (rung["x-dead-letter-exchange"], rung["x-dead-letter-routing-key"]) == ("", WAKE)


def test_a_ladder_may_change(rabbitmq_under_test: UnderTest) -> None:
    with rabbitmq_under_test.connect() as session:
        session.publish(ONE_SECOND, [b"of the old ladder"])
    with RabbitMQ(rabbitmq_under_test.url, [timedelta(seconds=5)]).connect() as session:
        session.subscribe([WAKE], 1)
        assert bodies(receive(session, 1)) == [b"of the old ladder"]


def test_a_queue_that_exists_with_other_arguments_is_used_as_it_is(
    rabbitmq_under_test: UnderTest, raw: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    raw.queue_declare(DISPATCH, durable=True)
    with capture_logs() as logs:
        session = rabbitmq_under_test.connect()
    assert [(log["event"], log["queue"]) for log in logs] == [("queue_declared_otherwise", DISPATCH)]
    with session:
        session.subscribe([DISPATCH, WAKE], 10)
        session.publish(DISPATCH, [b"job"])
        session.publish(ONE_SECOND, [b"retry"])
        deliveries = receive(session, 2)
        assert bodies(deliveries) == [b"job", b"retry"]
        for delivery in deliveries:
            session.ack(delivery)
    rabbitmq_under_test.connect().publish(DISPATCH, [b"job"])
    _, properties, _ = raw.basic_get(DISPATCH)
    assert properties.delivery_mode == 2, "on a classic queue it is this that makes a job outlive the broker"


def test_a_queue_that_is_removed_is_there_again_after_the_next_connect(
    rabbitmq_under_test: UnderTest, raw: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    consumer, publisher = rabbitmq_under_test.consumer(DISPATCH), rabbitmq_under_test.connect()
    remover = threading.Timer(0.2, raw.queue_delete, [DISPATCH])
    remover.start()
    with pytest.raises(BrokerUnavailable, match="removed"):
        consumer.receive(10)
    remover.join()
    with pytest.raises(BrokerUnavailable, match="removed"):
        publisher.publish(DISPATCH, [b"job"])
    with pytest.raises(BrokerUnavailable, match="removed"):
        publisher.depth(DISPATCH)
    with rabbitmq_under_test.connect() as session:
        session.publish(DISPATCH, [b"job"])
        assert session.depth(DISPATCH) == 1


def test_a_dead_job_of_which_nothing_says_how_old_it_is_counts_as_new(
    rabbitmq_under_test: UnderTest, raw: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    with rabbitmq_under_test.connect() as session:
        raw.confirm_delivery()
        raw.basic_publish("", DEAD, b"old", pika.BasicProperties(headers={"reason": "of an older version"}))
        assert session.forget_dead(timedelta(hours=1), limit=10) == 0
        _, properties, body = raw.basic_get(DEAD)
        assert (body, properties.headers["reason"]) == (b"old", "of an older version")
        raw.close()
        assert session.forget_dead(timedelta(0), limit=10) == 1


def test_a_job_that_kills_its_consumers_ends_in_the_dead_queue(rabbitmq_under_test: UnderTest) -> None:
    rabbitmq_under_test.connect().publish(DISPATCH, [b"poison"])
    for _ in range(DELIVERY_LIMIT + 1):
        with rabbitmq_under_test.broker.connect() as session:
            session.subscribe([DISPATCH], 1)
            receive(session, 1)
    undertaker = rabbitmq_under_test.consumer(DEAD)
    assert bodies(receive(undertaker, 1)) == [b"poison"]
    assert undertaker.depth(DISPATCH) == 0


# ---------------------------------------------------------------- what it remembers


def test_it_remembers_the_last_number_that_it_was_told(rabbitmq_under_test: UnderTest) -> None:
    one, other = rabbitmq_under_test.connect(), rabbitmq_under_test.connect()
    assert one.recall() == other.recall() == 0
    for number in (7, 1_764_500_000_000_000, 9):
        one.remember(number)
        assert one.recall() == other.recall() == one.recall() == number
    one.close()
    assert rabbitmq_under_test.connect().recall() == 9
    assert recall(rabbitmq_under_test.broker) == 9


def test_all_who_look_at_the_same_moment_see_it(rabbitmq_under_test: UnderTest) -> None:
    rabbitmq_under_test.connect().remember(7)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: recall(rabbitmq_under_test.broker, 10), range(12))) == {7}


# ---------------------------------------------------------------- a queue that refuses jobs


@pytest.fixture
def full_after_one(rabbitmq_under_test: UnderTest, raw: pika.adapters.blocking_connection.BlockingChannel) -> UnderTest:
    """Its dispatch queue refuses jobs while one waits."""
    raw.queue_declare(DISPATCH, durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    return rabbitmq_under_test


def test_jobs_that_are_refused_are_published_again(full_after_one: UnderTest) -> None:
    jobs = [b"%d" % number for number in range(5)]
    consumer = full_after_one.connect()
    got = []

    def consume() -> None:
        consumer.subscribe([DISPATCH], 1)
        for _ in jobs:
            (delivery,) = receive(consumer, 1)
            got.append(delivery.body)
            consumer.ack(delivery)

    thread = threading.Timer(0.5, consume)  # one is stored by then, and four are refused
    thread.start()
    full_after_one.connect().publish(DISPATCH, jobs)
    thread.join(30)
    assert sorted(got) == jobs
    assert consumer.receive(0.3) == []


def test_a_queue_that_goes_on_refusing_costs_the_call_and_not_the_session(full_after_one: UnderTest) -> None:
    with RabbitMQ(full_after_one.url, LADDER, patience=PATIENCE).connect() as session:
        with pytest.raises(BrokerUnavailable, match="refuses jobs"):
            _within(PATIENCE + 3, lambda: session.publish(DISPATCH, [b"1", b"2"]))
        assert session.depth(DISPATCH) == 1


# ---------------------------------------------------------------- a subscription that brings nothing


def mute(session: Session) -> None:
    """Nothing comes any more, and the adapter does not hear of it: what only the broker's defect does otherwise."""
    channel = session._inbox._channel.amqp  # type: ignore[attr-defined]
    for tag in channel.consumer_tags:
        channel.basic_cancel(tag)


def test_a_subscription_that_fell_silent_is_made_anew(rabbitmq_under_test: UnderTest) -> None:
    with RabbitMQ(rabbitmq_under_test.url, LADDER, renew_after=0.5).connect() as session:
        session.subscribe([DISPATCH], 10)
        mute(session)
        session.publish(DISPATCH, [b"job"])
        assert bodies(session.receive(10)) == [b"job"]


def test_a_queue_that_is_replaced_does_not_leave_its_consumers_without_jobs(
    rabbitmq_under_test: UnderTest, raw: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    """The real thing: in about every fourth round RabbitMQ 3.10 forgets to tell the consumer, and keeps the jobs for
    it."""
    dispatch = next(queue for queue in topology.queues(LADDER) if queue.name == DISPATCH)
    broker = RabbitMQ(rabbitmq_under_test.url, LADDER, renew_after=0.5)
    raw.confirm_delivery()

    def take(session: Session) -> bytes:
        (delivery,) = receive(session, 1)
        session.ack(delivery)
        return delivery.body

    for number in range(8):
        job = b"%d" % number
        with broker.connect() as session:
            session.subscribe([DISPATCH], 10)
            raw.queue_delete(DISPATCH)
            raw.queue_declare(DISPATCH, durable=True, arguments=_arguments(dispatch))
            raw.basic_publish("", DISPATCH, job)
            with suppress(BrokerUnavailable):  # it was told
                assert take(session) == job
                continue
        with broker.connect() as session:
            session.subscribe([DISPATCH], 10)
            assert take(session) == job


def test_a_subscription_that_is_renewed_brings_every_job_once(rabbitmq_under_test: UnderTest) -> None:
    publisher = rabbitmq_under_test.connect()
    with RabbitMQ(rabbitmq_under_test.url, LADDER, renew_after=0.05).connect() as session:
        session.subscribe([DISPATCH], 10)
        mute(session)  # so that what comes can only come after a renewal
        done: Delivery | None = None
        for number in range(40):
            for _ in range(number % 4):
                assert session.receive(0.04) == []
            publisher.publish(DISPATCH, [b"%d" % number])
            (delivery,) = receive(session, 1)
            assert delivery.body == b"%d" % number
            if done:
                session.ack(done)  # of a channel that is gone, under a tag that this one has as well
            session.ack(delivery)
            done = delivery
    assert rabbitmq_under_test.consumer(DISPATCH).receive(0.3) == []


def test_a_subscription_is_not_renewed_before_what_has_arrived_is_seen(
    rabbitmq_under_test: UnderTest, raw: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    with RabbitMQ(rabbitmq_under_test.url, LADDER, renew_after=0.0).connect() as session:
        session.subscribe([DISPATCH], 10)
        rabbitmq_under_test.connect().publish(DISPATCH, [b"job"])
        time.sleep(0.5)  # for the job to lie in the socket, of which nothing can be seen from here
        assert bodies(session.receive(0)) == [b"job"]
    deadline = time.monotonic() + 10
    while (found := raw.basic_get(DISPATCH))[0] is None:
        assert time.monotonic() < deadline
    assert found[1].headers["x-delivery-count"] == 1, "it came back with the end of the session, and never before"


def test_a_subscription_is_not_renewed_while_a_job_is_in_hand(rabbitmq_under_test: UnderTest) -> None:
    with RabbitMQ(rabbitmq_under_test.url, LADDER, renew_after=0.1).connect() as session:
        session.subscribe([DISPATCH], 10)
        session.publish(DISPATCH, [b"job"])
        (delivery,) = receive(session, 1)
        for _ in range(5):
            assert session.receive(0.1) == [], "it would come again"
        session.ack(delivery)
    assert rabbitmq_under_test.consumer(DISPATCH).receive(0.3) == []


# ---------------------------------------------------------------- a broker that does not answer


def test_publishing_to_a_broker_short_of_memory_ends(faulty: Private, rabbitmq_url: str) -> None:
    publisher = RabbitMQ(rabbitmq_url, LADDER, patience=PATIENCE).connect()
    consumer = RabbitMQ(rabbitmq_url, LADDER, patience=PATIENCE).connect()
    publisher.publish(DISPATCH, [b"before"])
    faulty.starve()
    with pytest.raises(BrokerUnavailable, match=r"takes no jobs: low on memory"):
        _within(PATIENCE + 3, lambda: publisher.publish(DISPATCH, [b"during"]))
    _within(5, publisher.close)
    consumer.subscribe([DISPATCH], 10)
    (delivery, *_) = receive(consumer, 1)
    consumer.ack(delivery)  # who only consumes is not held up
    assert delivery.body == b"before"
    consumer.close()

    faulty.reset()
    with RabbitMQ(rabbitmq_url, LADDER).connect() as session:
        session.subscribe([DISPATCH], 1)
        session.publish(DISPATCH, [b"after"])
        seen = set()
        while b"after" not in seen:
            (delivery,) = receive(session, 1)
            seen.add(delivery.body)
            session.ack(delivery)
    assert b"before" not in seen  # b"during" may be there: its end was not known


def test_no_call_waits_for_a_frozen_broker(faulty: Private, rabbitmq_url: str) -> None:
    broker = RabbitMQ(rabbitmq_url, LADDER, patience=PATIENCE, renew_after=1000)
    sessions = [broker.connect() for _ in range(4)]
    idle = broker.connect()
    impatient = RabbitMQ(rabbitmq_url, LADDER, patience=PATIENCE, renew_after=0).connect()
    impatient.subscribe([topology.LAUNCH], 1)
    for session in sessions:
        session.subscribe([DISPATCH], 1)
    sessions[0].publish(DISPATCH, [b"job"])
    holder = next(session for session in sessions if session.receive(0.5))
    with faulty.frozen():
        for use in (
            lambda: sessions[0].publish(DISPATCH, [b"job"]),
            lambda: sessions[1].depth(DISPATCH),
            lambda: idle.subscribe([topology.LAUNCH], 1),
            lambda: impatient.receive(0.2),  # the subscription cannot be made anew
            broker.connect,
        ):
            with pytest.raises(BrokerUnavailable):
                _within(PATIENCE + 3, use)
        assert _within(5, lambda: sessions[3].receive(0.2)) == []
        for session in (*sessions, idle, impatient):
            _within(5, session.close)
    with broker.connect() as session:
        session.subscribe([DISPATCH], 10)
        assert b"job" in bodies(session.receive(10)), "what a closed session held is given back, heartbeat or not"
    del holder


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"AMQP\0\0\x09\x01"])
def test_something_that_is_no_rabbitmq(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    clients.append(client)
                    client.sendall(greeting)

        clients: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises(BrokerUnavailable):
            _within(PATIENCE + 3, RabbitMQ(f"amqp://127.0.0.1:{port}/", LADDER, patience=PATIENCE).connect)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for client in clients:
            client.close()


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("guest:guest", "guest:s3cret"),
        lambda url: url.replace("guest:guest", "s3cret:s3cret"),
        lambda url: "amqp://guest:s3cret@127.0.0.1:1/",
        lambda url: "amqp://guest:s3cret@no-such-host.invalid/",
        lambda url: "amqps://guest:s3cret@" + url.rpartition("@")[2],
    ],
    ids=["password", "user", "port", "host", "tls"],
)
def test_errors_do_not_show_the_password(
    rabbitmq: External | Private, change: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BrokerUnavailable) as caught:
        RabbitMQ(change(rabbitmq.url), LADDER).connect()
    assert "s3cret" not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert len(str(caught.value)) > 30, "it says what is wrong"


@pytest.mark.parametrize("url", ["amqp://u:s3cret/x@host/", "amqp://u:s3cret@host/?heartbeat=soon", "amqp://s3cret@h/"])
def test_a_url_that_makes_no_sense_is_named_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="BROKER_URL") as caught:
        RabbitMQ(url, LADDER)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def _within(seconds: float, use: Callable[[], T]) -> T:
    started = time.monotonic()
    try:
        return use()
    finally:
        assert time.monotonic() - started < seconds
