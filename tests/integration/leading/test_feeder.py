"""The feeder, on a real database and the table broker: what goes out, in which order, and what never does."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from dispatcher_service.leading.backlog import LEAST
from dispatcher_service.leading.chores.chore import Step
from dispatcher_service.leading.chores.close_ended import CLOSE_SLICE
from dispatcher_service.leading.chores.rescue_leases import RESCUE_AFTER, RescueLeases
from dispatcher_service.leading.feed import TURN
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.jobs import BEGIN_WITH as CHUNK
from dispatcher_service.leading.lease_guard import LeaseGuard
from shared import clock
from shared.broker import topology
from shared.broker.base import Broker, Session
from shared.broker.table import TableBroker
from shared.database.engine import make_engine
from shared.domain.errors import BrokerUnavailable
from shared.domain.job import LaunchJob
from shared.domain.message import Error
from shared.domain.retry import Retry
from shared.ledger.slot import Slot
from shared.messages.create import create_messages
from tests.support.books import HOUR, MINUTE, SECOND, SENT, Books
from tests.support.leading import Consumer, Start, leaders, mailing
from tests.support.superuser import superuser
from tests.support.waiting import wait_until


class Switched:
    """The table broker, which can be cut off: no new session then, and the open ones break."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.off = False
        self.refusals = 0

    def connect(self) -> Session:
        self.refuse_if_off()
        return Breaking(self.broker.connect(), self)

    def refuse_if_off(self) -> None:
        if self.off:
            self.refusals += 1
            raise BrokerUnavailable("It is switched off.")


class Breaking:
    """A session of the switched broker. `publish` breaks after the jobs were stored, the others before."""

    def __init__(self, session: Session, switch: Switched) -> None:
        self._session, self._switch = session, switch

    def __getattr__(self, name: str) -> Any:
        if name in ("depth", "receive", "ack"):
            self._switch.refuse_if_off()
        return getattr(self._session, name)

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        self._session.publish(queue, bodies)
        self._switch.refuse_if_off()


def local_time(offset: timedelta) -> str:
    return (datetime.now(UTC) + offset).astimezone(ZoneInfo("Europe/Moscow")).strftime("%H:%M:%S")


# ---------------------------------------------------------------- launch


def test_a_mailing_goes_out_at_its_start_with_no_further_action(books: Books, start: Start, consumer: Consumer) -> None:
    books.clients(3)
    mailing_id = books.mailing(starts=3 * SECOND)
    start()
    assert consumer.job(timeout=1.0) is None
    assert books.states(mailing_id) == {}
    [job] = consumer.jobs(1)
    assert (job.mailing_id, job.message_ids) == (mailing_id, tuple(books.ids(mailing_id)))
    row = mailing(books, mailing_id)
    assert row.launched_at >= row.starts_at


def test_a_planned_mailing_wakes_it(books: Books, start: Start, consumer: Consumer) -> None:
    books.clients(1)
    others = [books.mailing(), books.mailing(), books.mailing(starts=-MINUTE, ends=-SECOND)]
    books.run("update mailings set cancelled_at = now() where id = :id", id=others[0])
    books.run("update mailings set paused_at = now() where id = :id", id=others[1])
    planned = [books.mailing(starts=starts, ends=HOUR + starts) for starts in (5 * SECOND, 4 * SECOND)]
    start(idle_pause=60.0)
    wait_until(lambda: leaders(books))
    assert [job.mailing_id for job in consumer.jobs(2)] == planned[::-1]


def test_a_launch_job_wakes_it(books: Books, start: Start, broker: TableBroker, consumer: Consumer) -> None:
    start(idle_pause=60.0)
    wait_until(lambda: leaders(books))
    books.clients(1)
    mailing_id = books.mailing()
    with broker.connect() as session:
        session.publish(topology.LAUNCH, [b"what is this?"])
        session.publish(topology.LAUNCH, [LaunchJob(mailing_id).encode()])
        assert consumer.jobs(1)[0].mailing_id == mailing_id
        wait_until(lambda: session.depth(topology.LAUNCH) == 0)
        assert session.depth(topology.DEAD) == 1


def test_publishing_does_not_wait_for_the_end_of_a_launch(books: Books, start: Start, consumer: Consumer) -> None:
    count = 100_000
    books.clients(count)
    mailing_id = books.mailing()
    start()
    first = consumer.jobs(1)
    assert mailing(books, mailing_id).launched_at is None
    wait_until(lambda: mailing(books, mailing_id).launched_at)
    claimed = {message.id for job in first for message in books.claim(mailing_id, job.message_ids)}
    while len(claimed) < count:
        [job] = consumer.jobs(1)
        claimed.update(message.id for message in books.claim(mailing_id, job.message_ids))


def test_small_mailings_share_jobs_and_every_message_is_in_one(books: Books, start: Start, consumer: Consumer) -> None:
    mailings = [books.launched(5)[0] for _ in range(10)] + [books.launched(CHUNK * 2)[0]]
    start()
    jobs = []
    while job := consumer.whole_job(timeout=1.0):
        jobs.append(job)
    for mailing_id in mailings:
        ids = [each for job in jobs for piece in job if piece.mailing_id == mailing_id for each in piece.message_ids]
        assert sorted(ids) == books.ids(mailing_id)
    assert all(job.size <= CHUNK for job in jobs)
    assert len(jobs) <= 5


def test_where_the_rate_is_limited_jobs_are_a_quarter_of_a_seconds_work(
    books: Books, start: Start, consumer: Consumer
) -> None:
    books.clients(25)
    books.mailing()
    start(rate=20.0)
    assert [len(job.message_ids) for job in consumer.jobs(3)] == [5, 5, 5]


def test_a_mailing_that_is_paused_before_its_start_waits_to_be_resumed(
    books: Books, start: Start, consumer: Consumer
) -> None:
    books.clients(1)
    mailing_id = books.mailing()
    books.run("update mailings set paused_at = now()")
    start()
    assert consumer.job(timeout=1.0) is None
    assert books.states(mailing_id) == {}
    books.run("update mailings set paused_at = null")
    consumer.jobs(1)


def test_a_mailing_that_ended_while_it_was_paused_shows_who_was_not_reached(books: Books, start: Start) -> None:
    books.clients(3)
    mailing_id = books.mailing(starts=-HOUR, ends=SECOND)
    books.run("update mailings set paused_at = now()")
    start()
    wait_until(lambda: mailing(books, mailing_id).finished_at)
    assert books.states(mailing_id) == {"expired": 3}


# ---------------------------------------------------------------- order and backlog


def test_the_mailing_that_ends_first_goes_first(books: Books, start: Start, consumer: Consumer) -> None:
    books.clients(CHUNK * 3)
    later = books.mailing(ends=3 * HOUR)
    sooner = books.mailing(ends=HOUR)
    middle = books.mailing(ends=2 * HOUR)
    for mailing_id in (sooner, middle, later):
        books.launch(mailing_id)
    start()
    taken: Counter[int] = Counter()
    done = []
    while taken.total() < CHUNK * 9:
        if (job := consumer.job()) is None:
            break
        taken[job.mailing_id] += len(job.message_ids)
        if taken[job.mailing_id] == CHUNK * 3:
            done.append(job.mailing_id)
        if taken[sooner] < CHUNK * 3 and job.urgency.rank != TURN:  # what has its turn in the round comes first
            assert job.mailing_id == sooner, "the others have nothing but their turns"
            assert taken[sooner] >= 0.8 * taken.total(), "and so a tenth"
    assert taken == {sooner: CHUNK * 3, middle: CHUNK * 3, later: CHUNK * 3}
    assert done == [sooner, middle, later]


def test_turns_in_the_round_stand_before_all_that_is_more_urgent(
    books: Books, start: Start, consumer: Consumer
) -> None:
    """On the broker, too: else they would wait there for all that is published with them."""
    books.clients(CHUNK * 3)
    later = books.mailing(ends=3 * HOUR)
    sooner = books.mailing(ends=HOUR)
    for mailing_id in (sooner, later):
        books.launch(mailing_id)
    start()
    assert {piece.mailing_id for piece in consumer.jobs(2)} == {sooner, later}


def test_the_backlog_stays_small_while_nobody_consumes(books: Books, start: Start, consumer: Consumer) -> None:
    mailing_id, _ = books.launched(CHUNK * 30)
    start()
    wait_until(lambda: consumer.depth() > 0)
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        assert consumer.depth() <= LEAST
        time.sleep(0.05)
    assert books.states(mailing_id) == {"pending": 30 * CHUNK}, "no row is written for a job"


def test_what_nobody_consumed_for_long_is_not_piled_up(books: Books, start: Start, consumer: Consumer) -> None:
    """Messages that are due anew are published anew, while the jobs that name them still wait."""
    books.launched(CHUNK * 4)
    start()
    wait_until(lambda: consumer.depth() == LEAST)
    for _ in range(3):
        books.run("update messages set due_at = now()")
        time.sleep(0.4)
        assert consumer.depth() <= LEAST


# ---------------------------------------------------------------- pause, cancel, end


def test_nothing_is_published_while_the_mailing_is_paused(books: Books, start: Start, consumer: Consumer) -> None:
    _, ids = books.launched(CHUNK * 10)
    start()
    before = consumer.jobs(1)
    books.run("update mailings set paused_at = now()")
    while job := consumer.job(timeout=1.0):
        before.append(job)
    assert len(before) < 10
    books.run("update mailings set paused_at = null")
    after = consumer.jobs(1)
    # What was let go unclaimed while it was paused comes again.
    assert {message_id for job in before + after for message_id in job.message_ids} <= set(ids)
    claimed = {message.id for job in before for message in books.claim(job.mailing_id, job.message_ids)}
    while claimed < set(ids):
        [job] = consumer.jobs(1)
        claimed |= {message.id for message in books.claim(job.mailing_id, job.message_ids)}


@pytest.mark.parametrize(("change", "state"), [
    ("cancelled_at = now()", "cancelled"),
    ("cancelled_at = now(), deleted_at = now()", "cancelled"),
    ("paused_at = now(), cancelled_at = now()", "cancelled"),
    ("ends_at = now()", "expired"),
    ("ends_at = now(), deleted_at = now()", "expired"),
    ("ends_at = now(), paused_at = now()", "expired"),
])  # fmt: skip
def test_an_ended_mailing_is_closed_and_finished_when_the_last_call_is_over(
    books: Books, start: Start, consumer: Consumer, change: str, state: str
) -> None:
    mailing_id, ids = books.launched(CHUNK * 3)
    taken = ids[:10]
    sent, wire, doubtful, refused = taken[:2], taken[2:4], taken[4:6], taken[6:8]
    books.record(SENT, books.claim(mailing_id, sent))
    books.record(Retry(HOUR), books.claim(mailing_id, doubtful), Error.TIMED_OUT)
    books.record(Retry(HOUR), books.claim(mailing_id, refused), Error.SERVER_ERROR)
    claimed = books.claim(mailing_id, wire)
    books.run(f"update mailings set {change}")

    start()

    closed = {"sent": 2, "unknown": 2, state: len(ids) - 6}
    wait_until(lambda: books.states(mailing_id) == {**closed, "sending": 2})
    assert consumer.job(timeout=0.5) is None
    assert mailing(books, mailing_id).finished_at is None
    assert books.record(SENT, claimed) == 0
    wait_until(lambda: mailing(books, mailing_id).finished_at)
    assert books.states(mailing_id) == {**closed, "sent": 4}


def test_a_cancel_in_the_middle_of_a_launch_ends_it(books: Books, start: Start) -> None:
    books.clients(50)
    mailing_id = books.mailing()
    books.move(create_messages, mailing_id, 20)
    books.run("update mailings set cancelled_at = now()")
    start()
    wait_until(lambda: mailing(books, mailing_id).finished_at)
    assert books.states(mailing_id) == {"cancelled": 20}


def test_a_mailing_is_finished_with_its_last_message(books: Books, start: Start, consumer: Consumer) -> None:
    books.clients(3)
    mailing_id, nobody = books.mailing(), books.mailing(tags=["nobody"])
    start()
    [job] = consumer.jobs(1)
    wait_until(lambda: mailing(books, nobody).finished_at)
    claimed = books.claim(mailing_id, job.message_ids)
    books.record(SENT, claimed[:2])
    time.sleep(0.6)
    assert mailing(books, mailing_id).finished_at is None
    books.record(SENT, claimed[2:])
    wait_until(lambda: mailing(books, mailing_id).finished_at)


# ---------------------------------------------------------------- windows


def test_a_change_of_the_window_times_everything_anew_and_comes_to_an_end(
    books: Books, start: Start, consumer: Consumer
) -> None:
    count = 2 * CLOSE_SLICE + 1000
    books.clients(count)
    mailing_id = books.mailing(ends=10 * HOUR, window=(local_time(HOUR), local_time(2 * HOUR)))
    start()
    waiting = "select count(*) from messages where status = 'pending' and due_at between :soonest and :latest"

    def all_wait_until(offset: timedelta) -> bool:
        opening = datetime.now(UTC) + offset
        return bool(books.run(waiting, soonest=opening - MINUTE, latest=opening + MINUTE)[0][0] == count)

    wait_until(lambda: all_wait_until(HOUR))
    books.run(
        "update mailings set window_changed = true, window_from = :start, window_until = :end",
        start=local_time(5 * HOUR), end=local_time(6 * HOUR),
    )  # fmt: skip

    wait_until(lambda: all_wait_until(5 * HOUR))
    assert consumer.job(timeout=0.5) is None, "nobody has to put anything off"
    wait_until(lambda: not mailing(books, mailing_id).window_changed)
    books.run("update mailings set window_changed = true, window_from = null, window_until = null")
    consumer.jobs(3)
    wait_until(lambda: not mailing(books, mailing_id).window_changed)


# ---------------------------------------------------------------- leases


def test_it_rescues_but_not_before_dispatchers_had_time_to_write_what_they_know(books: Books, start: Start) -> None:
    mailing_id, ids = books.launched(2)
    books.claim(mailing_id, ids, lease=timedelta(0))
    start()
    wait_until(lambda: leaders(books))
    since = time.monotonic()
    wait_until(lambda: "sending" not in books.states(mailing_id))
    assert time.monotonic() - since > RESCUE_AFTER - 1.5
    assert books.message(ids[0]).error == "lease_lost"
    wait_until(lambda: books.states(mailing_id) == {"pending": 2})


def test_nothing_is_rescued_for_a_lease_after_a_step_of_the_clock(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own ticks stand in for the clock of the database, which parts from them as well as they from it."""
    passed = 0.0
    monkeypatch.setattr("dispatcher_service.leading.lease_guard.ticks", lambda: clock.ticks() + passed)
    guard, slot = LeaseGuard(lease=30.0), Slot("test")
    mailing_id, ids = books.launched(3)

    def rescue(guard: LeaseGuard) -> str:
        chore = RescueLeases(attempts=10, guard=guard)
        chore.work(Step(Isolation(connection, slot), []))
        return "rescued" if "sending" not in books.states(mailing_id) else "left alone"

    with books.engine.connect() as connection:
        books.claim(mailing_id, ids, lease=timedelta(0))
        assert rescue(guard) == "rescued"
        books.claim(mailing_id, ids, lease=timedelta(0))
        passed = -40.0
        assert rescue(guard) == "left alone"
        assert rescue(guard) == "left alone"
        monkeypatch.setattr(guard, "_not_before", clock.ticks() + passed)  # so much later
        assert rescue(guard) == "rescued"


def test_who_has_not_seen_the_clock_before_sees_no_step(books: Books) -> None:
    mailing_id, ids = books.launched(3)
    books.claim(mailing_id, ids, lease=timedelta(0))
    with books.engine.connect() as connection:
        RescueLeases(attempts=10, guard=LeaseGuard(lease=30.0)).work(Step(Isolation(connection, Slot("test")), []))
    assert "sending" not in books.states(mailing_id)


# ---------------------------------------------------------------- leadership


def test_of_several_one_leads_and_another_takes_over_when_it_is_gone(
    books: Books, start: Start, consumer: Consumer
) -> None:
    start()
    start()
    known: list[int] = []
    for _ in range(3):
        [leader] = wait_until(lambda: [pid for pid in leaders(books) if pid not in known])
        known.append(leader)
        books.clients(1)
        mailing_id = books.mailing(tags=[])
        # What nobody has claimed comes once more from a new leader, who cannot know whether it was published.
        while consumer.jobs(1)[0].mailing_id != mailing_id:
            pass
        books.run("select pg_terminate_backend(:pid)", pid=leader)


def test_a_leader_that_stops_makes_way_at_once(books: Books, start: Start, consumer: Consumer) -> None:
    first = start()
    [one] = wait_until(lambda: leaders(books))
    start()
    first.stop()
    first.join(5)
    assert not first.is_alive
    wait_until(lambda: leaders(books) not in ([], [one]))
    books.clients(1)
    books.mailing()
    consumer.jobs(1)


def test_one_that_stands_by_stops_without_ever_having_led(books: Books, start: Start, capsys: Any) -> None:
    start()
    [leader] = wait_until(lambda: leaders(books))
    capsys.readouterr()
    standby = start()
    standby.stop()
    standby.join(5)
    assert not standby.is_alive
    assert leaders(books) == [leader]
    assert "feeder_leads" not in capsys.readouterr().out


def test_a_statement_that_fails_does_not_lose_the_lead_for_good(
    books: Books, start: Start, books_url: str, consumer: Consumer
) -> None:
    engine = make_engine(books_url, "feeder", pool_size=4)
    with engine.connect(), engine.connect():
        pass  # two that lie ready: which of them comes next is up to the pool
    start(engine=engine)
    [leader] = wait_until(lambda: leaders(books))
    books.clients(1)
    with superuser(books.engine) as connection:
        connection.execute(text("lock table mailings in access exclusive mode"))
        blocked = "select count(*) from pg_locks where pid = :pid and not granted"
        wait_until(lambda: connection.scalar(text(blocked), {"pid": leader}))
        connection.execute(text("select pg_cancel_backend(:pid)"), {"pid": leader})
        wait_until(lambda: not connection.scalar(text(blocked), {"pid": leader}))
    books.mailing()
    consumer.jobs(1)


# ---------------------------------------------------------------- without a broker

LOST = "dispatcher_broker_reconnects_total"


def test_without_a_broker_it_launches_and_closes_and_publishes_when_it_is_back(
    books: Books, start: Start, broker: TableBroker, consumer: Consumer
) -> None:
    """And whoever watches is told that it is away."""
    switch = Switched(broker)
    switch.off = True
    before = REGISTRY.get_sample_value(LOST) or 0.0
    start(broker=switch)
    books.clients(3)
    running, cancelled = books.mailing(), books.mailing()
    wait_until(lambda: books.states(running) == books.states(cancelled) == {"pending": 3})
    books.run("update mailings set cancelled_at = now() where id = :id", id=cancelled)
    wait_until(lambda: mailing(books, cancelled).finished_at)
    assert books.states(running) == {"pending": 3}
    assert (REGISTRY.get_sample_value(LOST) or 0.0) > before
    switch.off = False
    assert consumer.jobs(1)[0].mailing_id == running


def test_what_could_not_be_published_goes_out_when_the_broker_is_back(
    books: Books, start: Start, broker: TableBroker, consumer: Consumer
) -> None:
    switch = Switched(broker)
    start(broker=switch)
    wait_until(lambda: leaders(books))
    mailing_id, ids = books.launched(CHUNK * 5)
    claimed = set()
    for turn in range(6):
        switch.off = turn % 2 == 0
        for job in filter(None, [consumer.job(timeout=0.3)]):
            new = {message.id for message in books.claim(job.mailing_id, job.message_ids)}
            assert not new & claimed
            claimed |= new
    switch.off = False
    while claimed != set(ids):
        job = consumer.jobs(1)[0]
        claimed |= {message.id for message in books.claim(mailing_id, job.message_ids)}
    assert books.states(mailing_id) == {"sending": len(ids)}


def test_a_broker_that_comes_back_empty_is_filled_again_at_once(
    books: Books, start: Start, broker: TableBroker, consumer: Consumer
) -> None:
    switch = Switched(broker)
    _, ids = books.launched(3)
    start(broker=switch)
    wait_until(lambda: consumer.depth() == 1)
    switch.off = True
    wait_until(lambda: switch.refusals)
    books.run("delete from broker_jobs")
    switch.off = False
    assert consumer.jobs(1)[0].message_ids == tuple(ids)


def test_what_a_leader_left_unpublished_goes_out_with_the_next_one(
    books: Books, start: Start, consumer: Consumer
) -> None:
    """It cannot know what another one has published, and asks no job."""
    _, ids = books.launched(3)
    for _ in range(2):
        leader = start()
        assert consumer.jobs(1)[0].message_ids == tuple(ids)
        leader.stop()
        leader.join(5)
