"""What both brokers promise (`shared.broker.base`): every test runs on RabbitMQ and on the table."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from shared.broker.base import Session
from shared.broker.topology import DEAD, DISPATCH, LAUNCH, WAKE
from shared.domain.errors import BrokerUnavailable, Unroutable
from tests.contract.conftest import (
    BEAT,
    ONE_HOUR,
    ONE_SECOND,
    TWO_SECONDS,
    UnderTest,
    adapter,
    bodies,
    receive,
    settle,
)
from tests.support.waiting import HANGING, patience, wait_until

# ---------------------------------------------------------------- publish, receive, ack


@pytest.mark.parametrize("body", [b"", b'{"v":1}', bytes(range(256)), b"x" * 500_000], ids=len)
def test_a_job_arrives_as_it_was_published(under_test: UnderTest, body: bytes) -> None:
    consumer = under_test.consumer(LAUNCH)
    under_test.connect().publish(LAUNCH, [body])
    (delivery,) = receive(consumer, 1)
    assert (delivery.queue, delivery.body) == (LAUNCH, body)


def test_an_acked_job_never_comes_again(under_test: UnderTest) -> None:
    with adapter(under_test.url, BEAT).connect() as session:
        session.publish(DISPATCH, [b"job"])
        session.subscribe([DISPATCH], 10)
        session.ack(receive(session, 1)[0])
    again = under_test.consumer(DISPATCH)
    assert again.receive(BEAT * 1.5) == []
    assert again.depth(DISPATCH) == 0


def test_jobs_of_a_queue_keep_their_order(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH, 1000)
    numbers = [str(number).encode() for number in range(250)]
    session.publish(DISPATCH, numbers[:200])
    session.publish(DISPATCH, numbers[200:220])
    for number in numbers[220:]:
        session.publish(DISPATCH, [number])
    assert bodies(receive(session, 250)) == numbers


def test_nothing_to_publish_is_no_error(under_test: UnderTest) -> None:
    session = under_test.connect()
    session.publish(DISPATCH, [])
    assert session.depth(DISPATCH) == 0


def test_a_waiting_receive_ends_with_the_first_job(under_test: UnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.broker.table.LOOK", 30.0)  # seconds after which the table broker looks by itself
    publisher = under_test.connect()
    timer = threading.Timer(0.2, publisher.publish, [DISPATCH, [b"job"]])
    with adapter(under_test.url, beat=90).connect() as consumer:
        consumer.subscribe([DISPATCH], 10)
        timer.start()
        started = time.monotonic()
        deliveries = consumer.receive(30)
        waited = time.monotonic() - started
    timer.join()
    assert bodies(deliveries) == [b"job"]
    assert waited < 10


def test_no_more_jobs_are_unacked_than_the_prefetch(under_test: UnderTest) -> None:
    consumer = under_test.consumer(DISPATCH, prefetch=2)
    consumer.publish(DISPATCH, [b"1", b"2", b"3", b"4"])
    first, _ = receive(consumer, 2)
    assert consumer.receive(0.3) == []
    other = under_test.consumer(DISPATCH, prefetch=1)
    assert bodies(receive(other, 1)) == [b"3"], "the rest is there for others"
    consumer.ack(first)
    assert bodies(receive(consumer, 1)) == [b"4"]


def test_the_prefetch_holds_over_several_queues(under_test: UnderTest) -> None:
    session = under_test.connect()
    session.publish(LAUNCH, [b"launch"] * 3)
    session.publish(DISPATCH, [b"dispatch"] * 3)
    session.subscribe([LAUNCH, DISPATCH], 2)
    seen = []
    while len(seen) < 6:
        deliveries = session.receive(5)
        assert 0 < len(deliveries) <= 2
        seen += bodies(deliveries)
        for delivery in deliveries:
            session.ack(delivery)
    assert sorted(seen) == [b"dispatch"] * 3 + [b"launch"] * 3


def test_many_consumers_share_a_queue_and_no_job_is_delivered_twice(under_test: UnderTest) -> None:
    jobs = [str(number).encode() for number in range(400)]
    seen: list[bytes] = []
    shares: list[int] = []

    def consume(session: Session) -> None:
        mine = 0
        deadline = time.monotonic() + 20
        while len(seen) < len(jobs) and time.monotonic() < deadline:
            for delivery in session.receive(0.2):
                seen.append(delivery.body)
                mine += 1
                session.ack(delivery)
        shares.append(mine)

    threads = [threading.Thread(target=consume, args=[under_test.consumer(DISPATCH, 5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    publisher = under_test.connect()
    for start in range(0, len(jobs), 20):
        publisher.publish(DISPATCH, jobs[start : start + 20])
    for thread in threads:
        thread.join(30)
    assert Counter(seen) == Counter(jobs)
    assert min(shares) > 0


def test_depth_counts_what_waits(under_test: UnderTest) -> None:
    session = under_test.connect()
    session.publish(DISPATCH, [b"1", b"2", b"3"])
    assert session.depth(DISPATCH) == 3
    consumer = under_test.consumer(DISPATCH, prefetch=1)
    (delivery,) = receive(consumer, 1)
    assert session.depth(DISPATCH) == 2, "received is not waiting"
    consumer.ack(delivery)
    receive(consumer, 1)
    assert session.depth(DISPATCH) == 1
    assert session.depth(LAUNCH) == 0


def test_connecting_for_the_first_time_in_many_processes_at_once(under_test: UnderTest) -> None:
    failures: list[Exception] = []

    def work() -> None:
        try:
            with under_test.broker.connect() as session:
                session.publish(DISPATCH, [b"job"])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert under_test.connect().depth(DISPATCH) == 6


# ---------------------------------------------------------------- consumers that end


def test_unacked_jobs_come_again_when_their_session_is_closed(under_test: UnderTest) -> None:
    with under_test.connect() as session:
        session.publish(DISPATCH, [b"1", b"2", b"3"])
        session.subscribe([DISPATCH], 2)
        done, _ = receive(session, 2)
        session.ack(done)
    again = receive(under_test.consumer(DISPATCH), 2, within=10)  # given back, not waited for
    assert sorted(bodies(again)) == [b"2", b"3"]


def test_unacked_jobs_come_again_when_their_consumer_was_killed(under_test: UnderTest) -> None:
    consumer = under_test.connect()
    consumer.publish(DISPATCH, [b"job"])
    with under_test.consuming_process(DISPATCH) as process:
        consumer.subscribe([DISPATCH], 10)
        assert consumer.receive(BEAT * 1.5) == [], "the other one has it, and is alive"
        process.kill()
    assert bodies(receive(consumer, 1)) == [b"job"]


def test_a_consumer_that_works_elsewhere_keeps_its_jobs_and_its_connection(under_test: UnderTest) -> None:
    """It looks in from time to time; that serves the heartbeats and extends the leases."""
    session, other = under_test.consumer(DISPATCH, prefetch=1, beat=BEAT), under_test.connect()
    session.publish(DISPATCH, [b"job"])
    (delivery,) = receive(session, 1)
    other.subscribe([DISPATCH], 10)
    others = []
    for _ in range(12):  # for as long as `test_a_consumer_that_never_looks_in…` needs to lose its own
        time.sleep(BEAT / 4)
        assert session.receive(0) == []
        others += other.receive(0)
    assert others == []
    session.ack(delivery)
    session.close()
    assert other.receive(0.3) == [], "the ack counted"


def test_a_consumer_that_never_looks_in_loses_its_jobs_to_others(under_test: UnderTest) -> None:
    absent, other = under_test.consumer(DISPATCH, 10, beat=BEAT), under_test.connect()
    absent.publish(DISPATCH, [b"job"])
    (delivery,) = receive(absent, 1)
    other.subscribe([DISPATCH], 10)
    (again,) = receive(other, 1, within=20)
    assert again.body == b"job"
    with suppress(BrokerUnavailable):  # RabbitMQ has closed its connection
        absent.ack(delivery)
        settle(absent)
    absent.close()
    other.close()
    assert bodies(receive(under_test.consumer(DISPATCH), 1)) == [b"job"], "the late ack did not count"


def test_a_delivery_of_another_session_is_left_alone(under_test: UnderTest) -> None:
    holder, stranger = under_test.consumer(DISPATCH, 1), under_test.consumer(LAUNCH, 1)
    holder.publish(DISPATCH, [b"job"])
    holder.publish(LAUNCH, [b"other"])
    (delivery,) = receive(holder, 1)
    receive(stranger, 1)  # RabbitMQ gives both deliveries the same tag
    stranger.ack(delivery)
    stranger.bury(delivery, "not yours")
    settle(stranger)
    assert stranger.depth(DEAD) == 0
    stranger.close()
    holder.close()
    again = under_test.connect()
    again.subscribe([DISPATCH, LAUNCH], 10)
    assert sorted(bodies(receive(again, 2))) == [b"job", b"other"]


def test_acking_twice_is_harmless(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    session.publish(DISPATCH, [b"1", b"2"])
    first, second = receive(session, 2)
    session.ack(first)
    session.ack(first)
    session.bury(first, "done already")
    settle(session)
    session.ack(first)
    session.ack(second)
    assert session.depth(DISPATCH) == session.depth(DEAD) == 0


# ---------------------------------------------------------------- retry queues


def test_a_retry_comes_to_whoever_wakes_mailings_after_its_delay(under_test: UnderTest) -> None:
    consumer = under_test.consumer(WAKE)
    started = time.monotonic()
    consumer.publish(ONE_SECOND, [b"again"])
    (delivery,) = receive(consumer, 1, within=5)
    assert 0.95 < time.monotonic() - started < patience(4)
    assert (delivery.queue, delivery.body) == (WAKE, b"again")
    consumer.ack(delivery)
    assert consumer.receive(0.3) == []


def test_no_rung_waits_for_another(under_test: UnderTest) -> None:
    consumer = under_test.consumer(WAKE)
    started = time.monotonic()
    consumer.publish(ONE_HOUR, [b"an hour"])
    consumer.publish(TWO_SECONDS, [b"two seconds"])
    consumer.publish(ONE_SECOND, [b"one second"])
    consumer.publish(WAKE, [b"now"])
    assert bodies(receive(consumer, 3, within=6)) == [b"now", b"one second", b"two seconds"]
    assert 1.95 < time.monotonic() - started < patience(5)
    assert consumer.receive(0.5) == []


def test_a_retry_outlives_the_session_that_published_it(under_test: UnderTest) -> None:
    with under_test.connect() as session:
        session.publish(ONE_SECOND, [b"again"])
    assert bodies(receive(under_test.consumer(WAKE), 1, within=5)) == [b"again"]


# ---------------------------------------------------------------- jobs that make no sense


def test_a_buried_job_is_kept_with_its_reason_and_blocks_nothing(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH, prefetch=1)
    session.publish(DISPATCH, [b"\xff nonsense", b"sense"])
    (delivery,) = receive(session, 1)
    session.bury(delivery, "not JSON")
    assert bodies(receive(session, 1)) == [b"sense"]
    assert session.depth(DEAD) == 1
    with under_test.connect() as undertaker:
        undertaker.subscribe([DEAD], 1)
        assert bodies(receive(undertaker, 1)) == [b"\xff nonsense"]
    assert under_test.reasons() == ["not JSON"]


def test_a_reason_may_be_anything(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    session.publish(DISPATCH, [b"job"])
    session.bury(receive(session, 1)[0], "\0\ud800 «причина» " + "x" * 1_000_000)
    (reason,) = under_test.reasons()
    assert reason.startswith("? «причина» xxx")
    assert len(reason) <= 1000


def test_dead_jobs_are_forgotten_by_their_age_the_oldest_first(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    for number in range(3):
        session.publish(DISPATCH, [b"nonsense"])
        session.bury(receive(session, 1)[0], f"no. {number}")
    session.publish(DISPATCH, [b"alive"])
    assert session.forget_dead(timedelta(hours=1), limit=10) == 0
    wait_until(lambda: session.depth(DEAD) == 3)  # the one that was looked at is on its way back
    assert session.forget_dead(timedelta(0), limit=2) == 2
    assert under_test.reasons() == ["no. 2"]
    assert session.forget_dead(timedelta(0), limit=10) == 1
    assert session.forget_dead(timedelta(0), limit=10) == 0
    assert bodies(receive(session, 1)) == [b"alive"]


def test_a_job_for_a_queue_that_does_not_exist_is_refused(under_test: UnderTest) -> None:
    session = under_test.connect()
    for use in (
        lambda: session.publish("message.retry.7s", [b"job"]),
        lambda: session.depth("message.retry.7s"),
        lambda: session.subscribe(["message.retry.7s"], 1),
    ):
        with pytest.raises(Unroutable, match=r"message\.retry\.7s"):
            use()
    session.publish(DISPATCH, [b"job"])
    session.subscribe([DISPATCH], 10)
    assert bodies(receive(session, 1)) == [b"job"], "the session is still good, and nothing else was stored"


# ---------------------------------------------------------------- wake and close


def test_wake_ends_a_running_receive(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    timer = threading.Timer(0.2, session.wake)
    timer.start()
    started = time.monotonic()
    assert session.receive(10) == []
    assert 0.1 < time.monotonic() - started < 5
    timer.join()


def test_wake_ends_the_next_receive_once(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    session.wake()
    session.wake()
    started = time.monotonic()
    assert session.receive(10) == []
    assert time.monotonic() - started < 5
    started = time.monotonic()
    assert session.receive(0.5) == []
    assert time.monotonic() - started > 0.4


def test_a_wake_during_other_calls_is_not_forgotten(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    session.wake()
    session.publish(LAUNCH, [b"job"])
    session.depth(LAUNCH)
    started = time.monotonic()
    assert session.receive(10) == []
    assert time.monotonic() - started < 5


def test_waking_all_the_time_from_many_threads_loses_nothing(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    stop = threading.Event()

    def nag() -> None:
        while not stop.wait(0.0005):
            session.wake()

    threads = [threading.Thread(target=nag) for _ in range(4)]
    for thread in threads:
        thread.start()
    session.publish(DISPATCH, [b"job"] * 10)
    assert bodies(receive(session, 10)) == [b"job"] * 10
    session.close()
    stop.set()
    for thread in threads:
        thread.join(5)


def test_a_closed_session_says_so_and_can_be_closed_again(under_test: UnderTest) -> None:
    session = under_test.consumer(DISPATCH)
    session.publish(DISPATCH, [b"job"])
    (delivery,) = receive(session, 1)
    session.close()
    session.close()
    session.wake()
    for use in _uses(session):
        with pytest.raises(BrokerUnavailable):
            use()
    with pytest.raises(BrokerUnavailable):
        session.ack(delivery)
    assert bodies(receive(under_test.consumer(DISPATCH), 1)) == [b"job"]


# ---------------------------------------------------------------- the broker goes away


def test_a_restart_in_mid_flight_loses_nothing(breakable: UnderTest) -> None:
    jobs = {str(number).encode() for number in range(20)}
    publisher = breakable.connect()
    publisher.publish(DISPATCH, sorted(jobs))
    publisher.publish(ONE_SECOND, [b"retry"])
    publisher.publish(LAUNCH, [b"launch"])
    consumer = breakable.consumer(DISPATCH, prefetch=5)
    held = receive(consumer, 5)
    consumer.ack(held[0])
    settle(consumer)

    breakable.restart()

    for use in (*_uses(consumer), *_uses(publisher), lambda: consumer.ack(held[1])):
        with pytest.raises(BrokerUnavailable):
            use()
    consumer.close()

    again = breakable.reconnect()
    again.subscribe([DISPATCH, LAUNCH, WAKE], 100)
    wanted = jobs - {held[0].body} | {b"retry", b"launch"}
    got: Counter[bytes] = Counter()
    deadline = time.monotonic() + 10
    while not wanted <= got.keys() and time.monotonic() < deadline:
        for delivery in again.receive(0.5):
            got[delivery.body] += 1
            again.ack(delivery)
            again.ack(held[1])  # of a session that is gone
    assert got.keys() - {held[0].body} == wanted
    assert max(got.values()) == 1


def test_a_receive_that_waits_notices_that_the_broker_went_away(breakable: UnderTest) -> None:
    consumer = breakable.consumer(DISPATCH)
    broke_off = []  # when: the program that does it may take a while

    def break_off() -> None:
        breakable.break_off()
        broke_off.append(time.monotonic())

    breaker = threading.Timer(0.3, break_off)
    breaker.start()
    with pytest.raises(BrokerUnavailable) as caught:
        consumer.receive(HANGING)
    noticed = time.monotonic()
    breaker.join(60)
    assert noticed - broke_off[0] < 5
    assert caught.value.__cause__ is not None
    breakable.reconnect().publish(DISPATCH, [b"job"])


def _uses(session: Session) -> list[Callable[[], object]]:
    return [
        lambda: session.receive(0.5),
        lambda: session.publish(DISPATCH, [b"lost"]),
        lambda: session.depth(DISPATCH),
        lambda: session.subscribe([DISPATCH], 1),
    ]
