"""The dispatcher's pipeline on a real database, broker and provider: nothing is lost, nothing is sent twice."""

import gc
import json
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import text

from dispatcher_service.pipeline.allowance import LATE
from dispatcher_service.pipeline.in_hand import OUTDATED, PREFETCH, Held
from dispatcher_service.sending.attempt import STALE, DatabaseClock
from dispatcher_service.sending.pace import FIRST_CALLS
from sandbox.processes import Processes
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared.broker import topology
from shared.broker.base import Session
from shared.clock import ticks
from shared.domain.message import MessageState
from shared.domain.retry import Finish
from shared.domain.standing import MOST_OPEN
from shared.messages.follow import follow_phone
from shared.own_metrics import DISPATCHER
from shared.rates.limits import SOON
from tests.support.books import MINUTE, SECOND, Books
from tests.support.declared_metrics import counters_missing
from tests.support.dispatching import TOKEN, Dispatcher, jobs, publish, settled
from tests.support.superuser import superuser_alone
from tests.support.waiting import patience, wait_until

pytest_plugins = ("tests.support.provider",)


def assert_once(simulator: Simulator, ids: Sequence[int]) -> None:
    """Every one of them came to the provider once, and was accepted."""
    assert {message_id: record.count for message_id, record in simulator.received().items()} == dict.fromkeys(ids, 1)
    assert simulator.summary().accepted == len(ids)


# ---------------------------------------------------------------- jobs


def test_a_job_is_sent_recorded_and_acked(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    mailing_id, ids = books.launched(500)
    with Dispatcher(database_url, simulator):
        publish(session, mailing_id, ids)
        wait_until(settled(books, mailing_id, sent=500))
    assert_once(simulator, ids)
    rows = books.run("select attempts, error, due_at, sent_at is not null as dated from messages group by 1, 2, 3, 4")
    assert [tuple(row) for row in rows] == [(1, None, None, True)]


def test_a_mailing_that_may_have_no_more_calls_open_keeps_no_other_one_waiting(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """Nothing of it was accepted yet, and another dispatcher has as many calls open as there may be."""
    other, others = books.launched(10)
    unproven, ids = books.launched(MOST_OPEN + 90)  # to the ten as well
    open_calls = books.claim(unproven, ids[:MOST_OPEN])
    with Dispatcher(database_url, simulator):
        publish(session, unproven, ids[MOST_OPEN:])
        publish(session, other, others)
        wait_until(lambda: books.states(other) == {"sent": 10}, seconds=OUTDATED / 2)
        assert books.states(unproven) == {"sending": MOST_OPEN, "pending": 100}
        books.record(Finish(MessageState.SENT), open_calls)
        books.prove(unproven)
        wait_until(settled(books, unproven, sent=MOST_OPEN + 100))


def test_what_nothing_more_will_join_is_recorded_at_once(
    books: Books, session: Session, simulator: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher_service.pipeline.recorder.RECORD_DELAY", 60.0)
    mailing_id, ids = books.launched(10)
    with Dispatcher(database_url, simulator):
        publish(session, mailing_id, ids)
        wait_until(settled(books, mailing_id, sent=10))


def test_what_the_provider_gets_is_the_message(
    books: Books, session: Session, start_simulator: Any, database_url: str
) -> None:
    simulator = start_simulator("--token", TOKEN)
    mailing_id, ids = books.launched(3)
    books.run("update mailings set text = :text", text='Привет, \U0001f600 "O\'Neil" \\ \n%s {}')
    with Dispatcher(database_url, simulator):
        publish(session, mailing_id, ids)
        wait_until(settled(books, mailing_id, sent=3))
    assert simulator.summary().broken == {}


def test_a_repeat_has_the_phone_and_the_bytes_of_the_first_call(books: Books, database_url: str) -> None:
    """Though the client gets another phone while the first call waits for its answer, which never comes."""
    bodies: list[bytes] = []
    is_over = threading.Event()

    class Provider(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            if len(bodies) == 1:
                is_over.wait(30)
            answer = b'{"code": 0, "message": "OK"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    mailing_id, [message_id] = books.launched(1)
    phone = books.message(message_id).phone
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever).start()
        provider: Any = SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}")
        with Dispatcher(database_url, provider, feeds=True, timeout=1.0):
            wait_until(lambda: bodies)
            with books.engine.begin() as connection:
                connection.execute(text("update clients set phone = 79999999999"))
                follow_phone(connection, 1, 79999999999)
            wait_until(settled(books, mailing_id, sent=1))
        is_over.set()
        server.shutdown()
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[1])["phone"] == phone == books.message(message_id).phone


def test_a_job_that_cannot_be_read_is_buried_and_blocks_nothing(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    mailing_id, ids = books.launched(10)
    nonsense = [
        b"",
        b"\xff\0",
        b"[]",
        b'{"v": 3}',
        b'{"v": 2, "read_at": 1, "pieces": [{"mailing_id": "1"}]}',
    ] * PREFETCH
    with Dispatcher(database_url, simulator):
        session.publish(topology.DISPATCH, nonsense)
        publish(session, mailing_id, ids)
        wait_until(lambda: books.states(mailing_id) == {"sent": 10})
        dead = wait_until(lambda: len(found := jobs(books)) == len(nonsense) and found)
    assert {queue for queue, _ in dead} == {topology.DEAD}
    assert all(reason for _, reason in dead)


def test_a_job_of_what_is_not_there_is_done_with(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    mailing_id, ids = books.launched(5)
    with Dispatcher(database_url, simulator):
        publish(session, 2**62, ids)
        publish(session, mailing_id, [2**62, 2**63 - 1])
        wait_until(lambda: not jobs(books))
        assert books.states(mailing_id) == {"pending": 5}
        publish(session, mailing_id, [*ids, 2**62])
        wait_until(settled(books, mailing_id, sent=5))
    assert_once(simulator, ids)


def test_the_same_job_many_times_sends_once(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    simulator.set_faults(Faults(latency_ms=30))
    mailing_id, ids = books.launched(300)
    with Dispatcher(database_url, simulator), Dispatcher(database_url, simulator):
        for chunk in (300, 100, 70, 7):
            publish(session, mailing_id, ids, chunk)
            publish(session, mailing_id, ids[::-1], chunk)
        wait_until(settled(books, mailing_id, sent=300))
    assert_once(simulator, ids)


def test_a_retry_waits_on_its_rung_and_comes_back(books: Books, simulator: Simulator, database_url: str) -> None:
    """The rung goes by the calls, spent or not."""
    simulator.set_faults(Faults({Fault.SERVER_ERROR: 0.5, Fault.NOT_JSON: 0.5}, max_faults_per_id=2))
    mailing_id, ids = books.launched(9)  # fewer failures, of both calls, than open the breaker
    with Dispatcher(database_url, simulator, feeds=True):
        wait_until(lambda: books.states(mailing_id) == {"retrying": 9})
        wait_until(settled(books, mailing_id, sent=9))
    for record in simulator.received().values():
        assert record.count == 3
        assert record.last_at - record.first_at >= 3 - 0.05  # the rungs of 1 s and 2 s
    assert books.run("select calls, error from messages group by 1, 2") == [(3, None)]
    # The provider served nobody, so 5xx cost nothing; an answer that may be an acceptance always does.
    spent = books.run("select error, count(*) from attempts group by 1")
    assert spent == [("bad_answer", simulator.summary().faults["not_json"])]
    assert sum(row.attempts for row in map(books.message, ids)) == 9 + spent[0].count


def test_attempts_end(books: Books, session: Session, simulator: Simulator, database_url: str) -> None:
    """`failed` where the provider said no while it served others, `unknown` where it may have taken the message."""
    mailing_id, ids = books.launched(15)
    others, other_ids = books.launched(60)  # to the 15 as well
    with Dispatcher(database_url, simulator, attempts=1):
        publish(session, others, other_ids)
        wait_until(lambda: books.states(others) == {"sent": 75})
        simulator.set_faults(Faults({Fault.SERVER_ERROR: 0.5, Fault.ACCEPT_RESET: 0.5}))
        publish(session, mailing_id, ids)
        wait_until(lambda: not jobs(books))
    faults = simulator.summary().faults
    assert books.states(mailing_id) == {"failed": faults["server_error"], "unknown": faults["accept_reset"]}
    unknown = {row.id for row in books.run("select id from messages where status = 'unknown'")}
    assert unknown == simulator.accepted().keys() - set(other_ids)


def test_a_job_for_another_dispatcher_is_left_to_it(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """What one has claimed and holds on the wire, the other does not touch, and acks its copy of the job."""
    simulator.set_faults(Faults(latency_ms=1000))
    mailing_id, ids = books.launched(20)
    with Dispatcher(database_url, simulator), Dispatcher(database_url, simulator):
        publish(session, mailing_id, ids)
        wait_until(lambda: simulator.summary().received == 20)
        publish(session, mailing_id, ids)
        wait_until(settled(books, mailing_id, sent=20))
    assert_once(simulator, ids)


# ---------------------------------------------------------------- what it stands on fails


@contextmanager
def killing(books: Books, *names: str) -> Iterator[None]:
    """Ends connections of these applications again and again, ten times at the least."""
    stop = threading.Event()

    def kill() -> None:
        number = 0
        while number < 10 or not stop.is_set():
            number += 1
            time.sleep(patience(0.15))  # on a busy machine it takes longer to connect, and to do something then
            books.run(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = any(:names)",
                names=list(names),
            )

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("names", [("broker",), ("dispatcher",), ("broker", "dispatcher")])
def test_connections_that_die_cost_nothing(
    books: Books, simulator: Simulator, database_url: str, names: tuple[str, ...]
) -> None:
    simulator.set_faults(Faults(latency_ms=30))
    mailing_id, ids = books.launched(1500)
    with Dispatcher(database_url, simulator, feeds=True, timeout=1.0):
        with killing(books, *names):
            wait_until(lambda: simulator.summary().accepted > 500)
        wait_until(settled(books, mailing_id, sent=1500))
    assert_once(simulator, ids)


def test_a_claim_whose_commit_is_not_answered_is_handed_back(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """It does not wait for the end of its lease, and is no attempt. A commit that waits for a standby server that never
    comes is done, and its answer can still get lost."""
    mailing_id, ids = books.launched(20)
    publish(session, mailing_id, ids)
    database_name = f'"{books.engine.url.database}"'
    books.run(f"alter database {database_name} set synchronous_commit = local")  # whoever connects from now on
    books.engine.dispose()
    waiting = "pid in (select pid from pg_stat_activity where wait_event = 'SyncRep')"
    with (
        _standby_that_never_comes(books),
        Dispatcher(database_url, simulator, feeds=True, waits_for_standby=True),
    ):
        while not books.states(mailing_id).get("sending"):
            books.run(f"select pg_terminate_backend(pid) from pg_stat_activity where {waiting}")
        _set_standby(books, "")
        wait_until(settled(books, mailing_id, sent=20))
    assert_once(simulator, ids)
    assert {books.message(message_id).attempts for message_id in ids} == {1}


@contextmanager
def _standby_that_never_comes(books: Books) -> Iterator[None]:
    _set_standby(books, "nobody")
    try:
        yield
    finally:
        _set_standby(books, "")


def _set_standby(books: Books, name: str) -> None:
    with superuser_alone(books.engine) as connection:
        connection.exec_driver_sql(f"alter system set synchronous_standby_names = '{name}'")
        connection.exec_driver_sql("select pg_reload_conf()")
    wait_until(lambda: books.run("select current_setting('synchronous_standby_names')")[0][0] == name)


def test_results_are_kept_while_the_database_is_away(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    simulator.set_faults(Faults(latency_ms=700))
    mailing_id, ids = books.launched(40)
    with Dispatcher(database_url, simulator) as dispatcher:
        publish(session, mailing_id, ids)
        wait_until(lambda: simulator.summary().accepted == 40)
        with books.engine.connect() as connection, connection.begin():  # nobody gets past this lock
            connection.exec_driver_sql("lock table messages in access exclusive mode")
            with killing(books, "dispatcher"):
                pass
            assert dispatcher.worker.is_alive
        wait_until(settled(books, mailing_id, sent=40))
    assert_once(simulator, ids)


def test_calls_that_hang_do_not_stop_the_others(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """Every job of ten has a call that hangs for two seconds. If the jobs waited for those, the ten jobs in hand would
    let a hundred messages through in two seconds, and all would take twenty; the calls alone need four."""
    simulator.set_faults(Faults({Fault.HANG: 0.1}, latency_ms=10, max_faults_per_id=1))
    mailing_id, ids = books.launched(1000)
    with Dispatcher(database_url, simulator, feeds=True, timeout=2.0):
        since = ticks()
        publish(session, mailing_id, ids, chunk=10)
        wait_until(lambda: simulator.summary().received == 1000)
        took = ticks() - since
        hung = simulator.summary().faults["hang"]
        wait_until(settled(books, mailing_id, sent=1000))
    assert hung > 50
    assert took < patience(10, at_most=18)
    assert simulator.summary().overlapping == 0
    assert simulator.summary().resent == 0


def held_jobs() -> int:
    """How many jobs this process has in hand; what earlier tests left for the collector does not count."""
    gc.collect()
    return sum(type(thing) is Held for thing in gc.get_objects())  # a proxy would ask what it stands for


def test_a_result_that_comes_too_late_harms_no_bookkeeping(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """The lease is lost while the call hangs, and the same process claims the message anew."""
    before = held_jobs()
    with Dispatcher(database_url, simulator, feeds=True, timeout=patience(2, at_most=10)):
        accepted, ids = books.launched(2 * FIRST_CALLS)  # so that more calls may be open than those that will hang
        publish(session, accepted, ids)
        wait_until(settled(books, accepted, sent=len(ids)))
        simulator.set_faults(Faults({Fault.HANG: 1.0}, max_faults_per_id=1))
        books.clients(FIRST_CALLS, tag="hangs")
        mailing_id = books.mailing(tags=["hangs"])
        books.launch(mailing_id)
        ids = books.ids(mailing_id)
        publish(session, mailing_id, ids, chunk=1)
        wait_until(lambda: simulator.summary().received == 3 * FIRST_CALLS)
        simulator.set_faults(Faults(latency_ms=1000))
        books.move(lose_leases, mailing_id)
        publish(session, mailing_id, ids, chunk=1)
        wait_until(settled(books, mailing_id, sent=FIRST_CALLS))
        assert {books.message(message_id).attempts for message_id in ids} == {1}
        others, other_ids = books.launched(5 * PREFETCH)
        publish(session, others, other_ids, chunk=1)
        wait_until(settled(books, others, sent=len(other_ids)))
        wait_until(lambda: held_jobs() <= before)
    received = simulator.received()
    assert {received[message_id].count for message_id in ids} == {2}
    assert {record.count for message_id, record in received.items() if message_id not in ids} == {1}


def lose_leases(connection: Any, entries: Any, mailing_id: int) -> None:
    """They are free again, as after a rescue, but for the call that a rescue would count."""
    rows = connection.exec_driver_sql(
        "update messages set status = 'pending', claim_id = null, due_at = now()"
        " where mailing_id = %s and status = 'sending' returning id",
        (mailing_id,),
    ).all()
    entries.moved(mailing_id, "sending", "pending", len(rows))


# ---------------------------------------------------------------- the whole dispatcher


def times(simulator: Simulator) -> list[float]:
    """When the first and the last call for each message came in."""
    return sorted({moment for record in simulator.received().values() for moment in (record.first_at, record.last_at)})


def before_a_pause(moments: list[float]) -> tuple[list[float], list[float]]:
    """Those before the first pause of nearly a second, and the others."""
    number = next((number for number, (one, next_) in enumerate(pairwise(moments), 1) if next_ > one + 0.9), None)
    return moments[:number], moments[number or len(moments) :]


def test_an_outage_spends_few_attempts_and_ends_with_everything_sent(
    books: Books, simulator: Simulator, database_url: str
) -> None:
    simulator.outage(Mode.UNAVAILABLE)
    mailing_id, _ = books.launched(400)
    with Dispatcher(database_url, simulator, feeds=True, concurrency=20):
        # Those that opened the breaker, and those that were on the wire then; a probe after 1 second, and after 2 more.
        first, probes = wait_until(lambda: len((found := before_a_pause(times(simulator)))[1]) >= 2 and found)
        assert 20 <= len(first) < 40
        assert len(probes) <= 3
        assert probes[1] - probes[0] > 1.9
        states = books.states(mailing_id)
        assert states.get("sending", 0) <= 1
        assert states.get("pending", 0) >= 350
        simulator.end_outage()
        wait_until(settled(books, mailing_id, sent=400))
    assert books.run("select max(attempts) as most from messages")[0].most <= 3
    assert simulator.summary().doubled == 0


def test_a_refused_token_spends_no_attempt(books: Books, simulator: Simulator, database_url: str) -> None:
    simulator.set_faults(Faults({Fault.UNAUTHORIZED: 1.0}))
    mailing_id, _ = books.launched(50)
    with Dispatcher(database_url, simulator, feeds=True, attempts=1, concurrency=5):
        wait_until(lambda: simulator.summary().faults.get("unauthorized", 0) >= 6)  # a probe among them
        assert books.states(mailing_id).keys() <= {"pending", "sending"}
        simulator.set_faults(Faults())
        wait_until(settled(books, mailing_id, sent=50))
    assert books.tallies(mailing_id)["error.unauthorized"] >= 6
    assert {row.attempts for row in books.run("select attempts from messages")} == {1}


def test_nothing_is_sent_after_the_end(books: Books, simulator: Simulator, database_url: str) -> None:
    simulator.set_faults(Faults({Fault.ACCEPT_HANG: 0.05, Fault.SERVER_ERROR: 0.1}, latency_ms=40))
    mailing_id, _ = books.launched(3000, ends=2 * SECOND)
    ends_at = books.run("select ends_at from mailings")[0].ends_at.timestamp()
    with Dispatcher(database_url, simulator, feeds=True, timeout=1.0):
        wait_until(lambda: books.run("select finished_at from mailings")[0].finished_at)
    states = books.states(mailing_id)
    assert states.keys() <= {"sent", "expired", "unknown", "failed"}
    assert states["sent"] > 0
    assert states["expired"] > 0
    received = simulator.received()
    assert max(record.last_at for record in received.values()) < ends_at + 0.1
    uncalled = {row.id for row in books.run("select id from messages where calls = 0 and status = 'expired'")}
    assert not uncalled & received.keys()  # a call that is the provider's fault is made and spends no attempt
    expired = {row.id for row in books.run("select id from messages where status = 'expired'")}
    assert not expired & simulator.accepted().keys()


@pytest.mark.parametrize("rate", [0, 50])
def test_a_pause_acts_at_once_and_a_resume_too(
    books: Books, simulator: Simulator, database_url: str, rate: float
) -> None:
    simulator.set_faults(Faults(latency_ms=50))
    mailing_id, _ = books.launched(5000)
    with Dispatcher(database_url, simulator, feeds=True, concurrency=200, rate=rate):
        wait_until(lambda: simulator.summary().accepted > 20)
        books.run("update mailings set paused_at = now()")
        paused_at = time.time()
        wait_until(lambda: not books.states(mailing_id).keys() & {"sending"})
        last = simulator.summary().last_received_at
        assert last is not None
        assert last < paused_at + 2
        count = simulator.summary().requests
        assert count < 5000
        books.run("update mailings set paused_at = null")
        wait_until(lambda: simulator.summary().requests > count)
        books.run("update mailings set cancelled_at = now()")
        wait_until(lambda: books.states(mailing_id).keys() == {"sent", "cancelled"})
    assert simulator.summary().doubled == 0


def test_two_dispatchers_keep_one_rate(books: Books, simulator: Simulator, database_url: str) -> None:
    rate, count = 100, 400
    mailing_id, _ = books.launched(count)
    with (
        Dispatcher(database_url, simulator, feeds=True, rate=rate),
        Dispatcher(database_url, simulator, feeds=True, rate=rate),
    ):
        wait_until(settled(books, mailing_id, sent=count))
    times = sorted(record.first_at for record in simulator.received().values())
    assert rate / 2 < (count - 1) / (times[-1] - times[0]) < rate * 1.2  # a busy machine makes it slower
    # Nor is it a burst and a pause: in any second no more than the rate and what a late start makes up for.
    assert all(later - earlier > 0.7 for earlier, later in zip(times, times[rate:], strict=False))


def test_a_rate_that_is_slower_than_a_lease_gets_through(
    books: Books, simulator: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher_service.pipeline.worker.LEASE_MARGIN", 0.5)
    mailing_id, ids = books.launched(3)
    with Dispatcher(database_url, simulator, feeds=True, timeout=0.5, rate=0.7):
        wait_until(settled(books, mailing_id, sent=3))
    calls = times(simulator)
    assert 1 / 0.7 - LATE - STALE < calls[1] - calls[0] < 5, "the first may be so late on a busy machine"
    assert_once(simulator, ids)


def test_what_was_reserved_for_messages_that_are_not_to_be_sent_goes_out_with_the_next_claim_at_once(
    books: Books, session: Session, simulator: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a dispatcher with stale jobs in hand lets its turns at the wire go by, and the rate is not kept."""
    delay, rate = 2.0, 20
    monkeypatch.setattr("dispatcher_service.pipeline.recorder.RECORD_DELAY", delay)
    at_a_time = int(rate * SOON.total_seconds())
    mailing_id, ids = books.launched(4 * at_a_time + 1)
    books.run("update messages set due_at = now() + interval '1 hour' where id <> :last", last=ids[-1])
    publish(session, mailing_id, ids)
    started = ticks()
    with Dispatcher(database_url, simulator, rate=rate):
        wait_until(lambda: simulator.summary().accepted)
        assert ticks() - started < 2 * delay, "it was behind four claims that brought nothing"


def test_a_clock_that_went_back_since_the_last_claim_makes_no_job_outdated(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """Also where nothing can be claimed when it comes: else nothing ever would be."""
    mailing_id, ids = books.launched(2)
    with Dispatcher(database_url, simulator, rate=1) as dispatcher:
        publish(session, mailing_id, ids[:1])
        wait_until(lambda: simulator.summary().accepted == 1)
        back = timedelta(seconds=40)
        dispatcher.worker._recorder._clock = DatabaseClock(books.now() - MINUTE + back, ticks() - 60)
        publish(session, mailing_id, ids[1:])
        wait_until(settled(books, mailing_id, sent=2))
    assert_once(simulator, ids)


# ---------------------------------------------------------------- the process


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


def start(processes: Processes, url: str, simulator: Simulator, name: str = "dispatcher", **settings: str) -> None:
    env = {
        "DATABASE_URL": url,
        "PROVIDER_URL": simulator.url,
        "PROVIDER_TOKEN": TOKEN,
        "RETRY_LADDER": "1s,2s",
        "LOG_LEVEL": "debug",
        **settings,
    }
    processes.start(name, "dispatcher_service", env)
    processes.wait_line(name, "dispatcher_started")


def test_sigterm_finishes_what_is_in_flight_and_hands_back_the_rest(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    simulator.set_faults(Faults(latency_ms=1000))
    mailing_id, ids = books.launched(400)
    start(processes, database_url, simulator, DISPATCH_CONCURRENCY="50")
    wait_until(lambda: simulator.summary().received >= 50)
    assert processes.stop("dispatcher", timeout=20) == 0
    states = books.states(mailing_id)
    assert states.keys() == {"sent", "pending"}  # nothing on the wire, nothing under a lease
    assert states["sent"] == simulator.summary().accepted < 400
    assert processes.deaths() == {}
    books.check()

    simulator.set_faults(Faults())
    start(processes, database_url, simulator, "next")
    wait_until(settled(books, mailing_id, sent=400))
    assert processes.stop("next") == 0
    assert_once(simulator, ids)
    for name in ("dispatcher", "next"):
        assert not [line for line in processes.output(name) if "Traceback" in line or TOKEN in line]


def test_sigterm_gives_up_calls_that_hang(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    simulator.set_faults(Faults({Fault.ACCEPT_HANG: 1.0}))
    books.launched(FIRST_CALLS)
    start(processes, database_url, simulator, PROVIDER_TIMEOUT="60")
    wait_until(lambda: simulator.summary().received == FIRST_CALLS)
    since = ticks()
    assert processes.stop("dispatcher", timeout=25) == 0
    assert ticks() - since < 20
    assert books.run("select status, attempts, error from messages group by 1, 2, 3") == [("retrying", 1, "timed_out")]


def test_a_second_signal_ends_it_at_once(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    simulator.set_faults(Faults({Fault.HANG: 1.0}))
    books.launched(FIRST_CALLS)
    start(processes, database_url, simulator)
    wait_until(lambda: simulator.summary().received == FIRST_CALLS)
    processes.send("dispatcher", signal.SIGTERM)
    processes.wait_line("dispatcher", "dispatcher_stopping")
    processes.send("dispatcher", signal.SIGINT)
    assert processes.wait("dispatcher", timeout=3) == 1


def test_a_process_that_is_killed_loses_nothing(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    simulator.set_faults(Faults(latency_ms=100))
    mailing_id, ids = books.launched(300)
    start(processes, database_url, simulator, PROVIDER_TIMEOUT="1")
    wait_until(lambda: simulator.summary().accepted >= 100)
    processes.kill("dispatcher")
    claimed = books.states(mailing_id).get("sending", 0)
    books.run("update messages set due_at = now() where due_at is not null")  # as if the leases had run out
    start(processes, database_url, simulator, "next", PROVIDER_TIMEOUT="1")
    wait_until(lambda: books.states(mailing_id) == {"sent": 300})
    assert simulator.accepted().keys() == set(ids)
    assert simulator.summary().doubled <= claimed  # under the same id, and never more than were in its hands
    assert processes.stop("next") == 0


def test_it_may_open_as_many_files_as_it_needs(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    """The usual soft limit is lower than the calls that may be asked for."""
    simulator.set_faults(Faults(latency_ms=500))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        start(processes, database_url, simulator, DISPATCH_CONCURRENCY="1100")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    mailing_id, _ = books.launched(10_000)  # from what it has taken it follows how much it may be given
    books.prove(mailing_id)
    wait_until(lambda: psutil.Process(processes.pid("dispatcher")).num_fds() > 1024)
    assert simulator.summary().received >= 1100
    processes.kill("dispatcher")


SENTENCES = [
    ("PROVIDER_TIMEOUT", "soon", "PROVIDER_TIMEOUT must be a number from 0.05 to 300 (it is 'soon')."),
    ("PROVIDER_URL", "http://пример.рф", "PROVIDER_URL must be ASCII: xn--… for a host, %… in a path."),
    ("METRICS_HOST", "192.0.2.1", "METRICS_PORT 0 cannot be used: Cannot assign requested address."),
    ("BROKER_URL", "amqp://h/?bogus=1", "BROKER_URL must be of the form amqp://user:password@host:port/vhost."),
    ("DISPATCH_CONCURRENCY", "5000", "DISPATCH_CONCURRENCY is 5000, but the system allows only 1024 open files."),
]


@pytest.mark.parametrize(("setting", "value", "sentence"), SENTENCES)
def test_a_setting_that_cannot_be_obeyed_is_named(
    setting: str, value: str, sentence: str, database_url: str, processes: Processes
) -> None:
    processes.start("dispatcher", "tests.support.limited", {"DATABASE_URL": database_url, setting: value})
    assert processes.wait("dispatcher", timeout=60) == 2
    assert processes.output("dispatcher") == [sentence]


def test_a_second_process_with_the_same_metrics_port_takes_another(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    taken = int(simulator.control_url.rpartition(":")[2])
    mailing_id, _ = books.launched(10)
    limits = {"DISPATCH_CONCURRENCY": "7", "DISPATCH_RATE": "50"}
    env = {"DATABASE_URL": database_url, "PROVIDER_URL": simulator.url, "LOG_FORMAT": "json", **limits}
    processes.start("dispatcher", "dispatcher_service", {**env, "METRICS_PORT": str(taken)})
    processes.wait_line("dispatcher", f'"port": {taken}, .*"metrics_port_taken", "level": "warning"')
    port = int(processes.wait_line("dispatcher", '"metrics_port": ([0-9]+),.*"dispatcher_started"')[1])
    assert port != taken

    def page() -> str:
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text

    # Of acts there are as many kinds as chores and reasons.
    wait_until(lambda: counters_missing(page(), *DISPATCHER) == {"feeder_act_failures_total"})  # it leads
    shown = page()
    assert "dispatcher_calls_open" in shown
    assert re.search(r'dispatcher_calls_allowed\{provider="[^"]+"\} 7\.0', shown)
    assert "dispatcher_rate_limit 50.0" in shown
    assert re.search(r'dispatcher_attempts_total\{outcome="refused",provider="[^"]+"\} 0\.0', shown), (
        "before there is one"
    )
    assert not re.search("^(api|reporter)_", shown, re.MULTILINE), "a zero of somebody who knows nothing of it"
    wait_until(lambda: books.states(mailing_id) == {"sent": 10})


def test_a_hangup_stops_nothing(books: Books, simulator: Simulator, database_url: str, processes: Processes) -> None:
    """As when the terminal is closed, or by somebody who thinks that the settings are read again."""
    start(processes, database_url, simulator, LOG_FORMAT="json")
    processes.send("dispatcher", signal.SIGHUP)
    processes.wait_line("dispatcher", '"hangup_ignored"')
    mailing_id, _ = books.launched(10)
    wait_until(lambda: books.states(mailing_id) == {"sent": 10})
    assert processes.stop("dispatcher") == 0


def test_before_the_migrations_it_says_what_is_missing_and_waits(
    books: Books, simulator: Simulator, database_url: str, processes: Processes
) -> None:
    """One line with each of its pauses, which grow."""
    books.run("alter table alembic_version rename to not_yet")
    try:
        env = {"DATABASE_URL": database_url, "PROVIDER_URL": simulator.url, "LOG_FORMAT": "json"}
        processes.start("dispatcher", "dispatcher_service", env)
        wait_until(lambda: len(processes.output("dispatcher")) == 3)
        pauses = []
        for line in map(json.loads, processes.output("dispatcher")):
            assert (line["event"], line["run"]) == ("schema_missing", "python -m shared.migrate")
            pauses.append(line["again_in"])
        assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2 <= pauses[2] <= 4
    finally:
        books.run("alter table not_yet rename to alembic_version")
    processes.wait_line("dispatcher", '"dispatcher_started"', timeout=30)
    assert processes.stop("dispatcher") == 0
