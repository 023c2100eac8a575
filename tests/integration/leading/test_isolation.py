"""One bad neighbour harms nobody: what is locked, slow, or broken, and a broker that is slow or silent."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection, make_url

from dispatcher_service.leading import feed, launch, lead
from dispatcher_service.leading.chores import all_chores, rescue_leases
from dispatcher_service.leading.cursor import REMEMBERED
from dispatcher_service.leading.isolation import LONGEST_PAUSE
from dispatcher_service.leading.launch import Launcher
from dispatcher_service.leading.lease_guard import LeaseGuard
from dispatcher_service.leading.settled_ids import SettledIds
from shared import standing
from shared.broker.base import Broker
from shared.broker.rabbitmq import RabbitMQ
from shared.broker.table import TableBroker
from shared.domain.job import Piece
from shared.domain.message import Error
from shared.domain.retry import Retry
from shared.messages.create import create_messages
from shared.messages.due import read_due
from tests.support.books import HOUR, LEASE, MINUTE, SENT, Books
from tests.support.leading import LADDER, Consumer, Start, leaders, mailing
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import patience, wait_until

SLOT, SLOTS = 1, 16

SOON = 8.0
"""Seconds in which what nobody holds up is done, on a machine that is busy. It takes one, or five until a rescue."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescue_leases, "RESCUE_AFTER", 0.0)
    monkeypatch.setattr(lead, "Slot", lambda name: OneOfMany(SLOT if name == "leader" else SLOT + 1))


class OneOfMany:
    """A slot, and others if that one is held up, so that a test can hold up all of them."""

    def __init__(self, number: int) -> None:
        self._number = number

    def number(self, _connection: Connection) -> int:
        return self._number

    def leave(self) -> None:
        self._number = (self._number + 1) % SLOTS


@contextmanager
def held(url: str, statement: str, **values: Any) -> Iterator[None]:
    """A session that somebody forgot, with the locks that a statement took."""
    with closing(psycopg2.connect(url, application_name="forgotten")) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        yield


class Others:
    """Mailings beside the one that is in trouble, with work of every kind for the leader."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._ended, _ = books.launched(3)
        self._cancelled, _ = books.launched(3)
        self._lost, ids = books.launched(3)
        books.claim(self._lost, ids, lease=0 * LEASE)
        self._launched: list[int] = []
        books.run("update mailings set ends_at = now() where id = :id", id=self._ended)
        books.run("update mailings set cancelled_at = now() where id = :id", id=self._cancelled)

    def begin(self) -> int:
        """One more begins now."""
        self._books.clients(1)
        self._launched.append(self._books.mailing())
        return self._launched[-1]

    def are_served(self) -> bool:
        """All that begins is launched, what ran out is rescued, and what has ended is finished."""
        ended = [mailing(self._books, mailing_id).finished_at for mailing_id in (self._ended, self._cancelled)]
        launched = [mailing(self._books, mailing_id).launched_at for mailing_id in self._launched]
        return all(ended + launched) and "sending" not in self._books.states(self._lost)


@pytest.fixture
def others(books: Books) -> Others:
    return Others(books)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def job_of(consumer: Consumer, mailing_id: int, within: float = SOON) -> Piece:
    """The next messages of a mailing in a job."""
    deadline = time.monotonic() + patience(within)
    while (left := deadline - time.monotonic()) > 0:
        if (job := consumer.job(left)) and job.mailing_id == mailing_id:
            return job
    raise AssertionError(f"no job of mailing {mailing_id} within {within:g} s")


# ---------------------------------------------------------------- locks

OF_THE_MAILING = "select from mailings where id = %(id)s for update"
OF_ITS_MESSAGES = "select from messages where mailing_id = %(id)s for update"
OF_ITS_COUNTERS = "select from mailing_counters where mailing_id = %(id)s for update"
ALL_COUNTERS = """
    insert into mailing_counters (mailing_id, slot) select :id, slot from generate_series(0, 15) slot
    on conflict do nothing
"""


def unlaunched(books: Books) -> int:
    books.clients(3)
    return books.mailing()


def due(books: Books) -> int:
    mailing_id, _ = books.launched(3)
    books.run(ALL_COUNTERS, id=mailing_id)
    return mailing_id


def changed(books: Books) -> int:
    mailing_id, _ = books.launched(3)
    books.run("update mailings set window_changed = true where id = :id", id=mailing_id)
    return mailing_id


@pytest.mark.parametrize(("prepare", "lock", "chore"), [
    (unlaunched, OF_THE_MAILING, "launch"),
    (changed, OF_THE_MAILING, "retime_windows"),
])  # fmt: skip
def test_a_lock_that_somebody_forgot_keeps_nobody_else_waiting(
    books: Books, books_url: str, start: Start, consumer: Consumer, others: Others, capsys: Any,
    prepare: Callable[[Books], int], lock: str, chore: str,
) -> None:  # fmt: skip
    stuck = prepare(books)
    with held(books_url, lock, id=stuck):
        start()
        [leader] = wait_until(lambda: leaders(books))
        first = others.begin()
        job_of(consumer, first)
        wait_until(others.are_served, patience(SOON))
        wait_until(lambda: metric("feeder_act_failures_total", chore=chore, reason="locked") >= 5)
        assert metric("feeder_set_aside", chore=chore) == 1
        second = others.begin()  # the pauses have grown by now
        job_of(consumer, second)
        assert others.are_served()
    released = time.monotonic()
    job_of(consumer, stuck)
    assert time.monotonic() - released < patience(LONGEST_PAUSE + 3, at_most=15)
    assert leaders(books) == [leader]
    wait_until(lambda: metric("feeder_set_aside", chore=chore) == 0)
    log = capsys.readouterr().out
    told = [line for line in log.splitlines() if "set_aside" in line and f"mailing_id={stuck}" in line]
    assert told
    assert all(f"chore={chore}" in line and "reason=locked" in line for line in told)
    assert len(told) <= 4, "a lock that lasts must not fill the log"
    assert [line for line in log.splitlines() if "goes_on" in line and f"mailing_id={stuck}" in line]


def test_where_one_counter_is_locked_another_one_is_used(
    books: Books, books_url: str, start: Start, consumer: Consumer
) -> None:
    mailing_id, ids = books.launched(3)  # it has the counters of one slot, that of the leader
    with held(books_url, OF_ITS_COUNTERS, id=mailing_id):
        start()
        assert job_of(consumer, mailing_id).message_ids == tuple(ids)


@pytest.mark.parametrize("lock", [OF_ITS_MESSAGES, OF_ITS_COUNTERS])
def test_leases_of_other_mailings_are_rescued_and_messages_of_others_closed(
    books: Books, books_url: str, start: Start, others: Others, lock: str
) -> None:
    stuck, ids = books.launched(4)
    books.claim(stuck, ids[:2], lease=0 * LEASE)
    books.run("update mailings set ends_at = now() where id = :id", id=stuck)
    books.run(ALL_COUNTERS, id=stuck)
    with held(books_url, lock, id=stuck):
        start()
        wait_until(others.are_served, patience(SOON))
        for chore in ("rescue_leases", "close_ended"):
            wait_until(lambda: metric("feeder_set_aside", chore=chore) == 1)  # noqa: B023 (at once)
        assert books.states(stuck) == {"sending": 2, "pending": len(ids) - 2}
    wait_until(lambda: mailing(books, stuck).finished_at)
    assert books.states(stuck) == {"unknown": 2, "expired": len(ids) - 2}


def test_what_is_locked_is_fed_as_ever_and_again_when_a_claim_may_have_passed_it_by(
    books: Books, books_url: str, start: Start, consumer: Consumer
) -> None:
    """Nothing is written for a job. The claim leaves alone what is locked, and nobody tells the leader."""
    stuck = due(books)
    ids = tuple(books.ids(stuck))
    with held(books_url, OF_ITS_MESSAGES, id=stuck), held(books_url, OF_ITS_COUNTERS, id=stuck):
        start()
        assert job_of(consumer, stuck).message_ids == ids
        assert books.claim(stuck, ids) == []
    assert job_of(consumer, stuck, within=REMEMBERED + SOON).message_ids == ids
    assert len(books.claim(stuck, ids)) == len(ids)


def test_a_mailing_that_cannot_be_woken_lets_the_next_outage_end_for_the_others(
    books: Books, books_url: str, start: Start
) -> None:
    stuck, other = books.launched(2), books.launched(2)
    for mailing_id, ids in (stuck, other):
        books.record(Retry(HOUR), books.claim(mailing_id, ids), Error.SERVER_ERROR, is_spent=False)
    books.run(ALL_COUNTERS, id=stuck[0])
    with held(books_url, OF_ITS_COUNTERS, id=stuck[0]):
        start()
        for _ in range(2):
            with books.engine.begin() as connection:
                standing.provider_returned(connection)
            wait_until(lambda: sorted(books.due(other[0])) == other[1], patience(SOON))
            assert metric("feeder_set_aside", chore="wake_waiting") == 1
            books.record(Retry(HOUR), books.claim(*other), Error.SERVER_ERROR, is_spent=False)
        assert not books.due(stuck[0])
    wait_until(lambda: sorted(books.due(stuck[0])) == stuck[1], patience(SOON))


def test_what_is_set_aside_is_forgotten_when_nobody_asks_for_it_any_more(
    books: Books, books_url: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher_service.leading.isolation.FORGOTTEN_AFTER", 0.5)
    mailing_id = changed(books)
    with held(books_url, OF_THE_MAILING, id=mailing_id):
        start()
        wait_until(lambda: metric("feeder_set_aside", chore="retime_windows") == 1)
    books.run("update mailings set window_changed = false")
    wait_until(lambda: metric("feeder_set_aside", chore="retime_windows") == 0)


# ---------------------------------------------------------------- what is slow or broken


def test_a_mailing_that_nobody_knows_how_to_handle_harms_no_other(
    books: Books, start: Start, consumer: Consumer, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect, or data that nobody has thought of."""
    bad, good = due(books), due(books)
    real = read_due

    def read(connection: Any, part: int, wanted: Any, most: int) -> Any:
        return real(connection, part, wanted, most) if bad not in {one.mailing_id for one in wanted} else 1 / 0

    monkeypatch.setattr(feed, "read_due", read)
    start()
    job_of(consumer, good)
    wait_until(lambda: metric("feeder_set_aside", chore="feed") == 1)
    log = capsys.readouterr().out
    assert "ZeroDivisionError" in log
    assert f"mailing_id={bad}" in log
    monkeypatch.setattr(feed, "read_due", real)
    job_of(consumer, bad)


def crowd(books: Books, number: int) -> list[int]:
    """So many mailings that begin now, each to three of its own; every tenth is for a window and another kind of
    filter, so that they are not all launched by one statement."""
    made = []
    for each in range(number):
        books.clients(3, tag=str(each))
        books.run("update clients set operator_code = tag where tag = :tag", tag=str(each))
        otherwise: dict[str, Any] = {}
        if each % 10 == 0:
            otherwise = {"operator_codes": [str(each)], "window": ("00:00", "23:59")}
        made.append(books.mailing(**{"tags": [str(each)], **otherwise}))
    return made


LOCKED, BROKEN = "locked", "broken"


@pytest.mark.parametrize("trouble", [LOCKED, BROKEN])
def test_of_many_that_are_launched_together_one_in_trouble_holds_up_no_other(
    books: Books, books_url: str, start: Start, trouble: str, capsys: Any
) -> None:
    mailing_ids = crowd(books, 30)
    bad = mailing_ids[7]
    with ExitStack() as stack:
        if trouble == LOCKED:
            stack.enter_context(held(books_url, OF_THE_MAILING, id=bad))
        else:
            books.run("""update mailings set fixed_segments = '[{"no": "segment"}]' where id = :id""", id=bad)
        start()
        wait_until(lambda: all(mailing(books, each).launched_at for each in mailing_ids if each != bad), patience(SOON))
        wait_until(lambda: metric("feeder_set_aside", chore="launch") == 1)
        assert not mailing(books, bad).launched_at
    told = [line for line in capsys.readouterr().out.splitlines() if "act_failed_together" in line]
    assert bool(told) == (trouble == BROKEN), "those that are locked are left out at once"
    assert all("chore=launch" in line and "reason=defect" in line for line in told)
    books.run("update mailings set fixed_segments = '[]' where id = :id", id=bad)
    wait_until(lambda: bool(mailing(books, bad).launched_at), patience(SOON))
    people = books.run("select g.tags[1] as tag, c.tag as got from messages m join mailings g on g.id = mailing_id "
                       "join clients c on c.id = client_id")  # fmt: skip
    assert len(people) == 3 * len(mailing_ids)
    assert all(row.tag == row.got for row in people), "each to those whom it is for"


@pytest.mark.parametrize("lock", [OF_THE_MAILING, OF_ITS_COUNTERS])
def test_of_many_that_are_finished_together_one_in_trouble_holds_up_no_other(
    books: Books, books_url: str, start: Start, lock: str
) -> None:
    mailing_ids = [books.launched(3)[0] for _ in range(30)]
    bad = mailing_ids[7]
    for each in mailing_ids:
        books.record(SENT, books.claim(each, books.ids(each)))
    with held(books_url, lock, id=bad):
        start()
        wait_until(lambda: all(mailing(books, each).finished_at for each in mailing_ids if each != bad), patience(SOON))
        assert not mailing(books, bad).finished_at
    wait_until(lambda: bool(mailing(books, bad).finished_at), patience(SOON))
    counted = books.run("select mailing_id, counts from mailing_breakdowns order by mailing_id")
    assert [row.mailing_id for row in counted] == mailing_ids
    assert all(sum(one["number"] for one in row.counts) == 3 * (n + 1) for n, row in enumerate(counted))
    slots = books.run("select mailing_id, slot, sent from mailing_counters order by mailing_id")
    assert [(row.mailing_id, row.slot) for row in slots] == [(each, -1) for each in mailing_ids]


def test_a_slow_statement_is_given_up_and_the_mailing_set_aside(
    books: Books, books_url: str, start: Start, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher_service.leading.session.STATEMENT_PATIENCE", 0.5)
    slow = """
        create or replace function slow() returns trigger language plpgsql as $$ begin
            if new.mailing_id = 1 then perform pg_sleep(30); end if; return new;
        end $$;
        create trigger slow before insert on messages for each row execute function slow()
    """
    failed = metric("feeder_act_failures_total", chore="launch", reason="slow")
    with closing(psycopg2.connect(books_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(slow)
    try:
        stuck = unlaunched(books)
        assert stuck == 1
        start()
        wait_until(lambda: metric("feeder_act_failures_total", chore="launch", reason="slow") > failed)
        job_of(consumer, unlaunched(books))
    finally:
        with closing(psycopg2.connect(books_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("drop trigger slow on messages")
    job_of(consumer, stuck, within=20)


# ---------------------------------------------------------------- launches


def test_a_launch_of_which_each_slice_finds_nobody_keeps_no_other_waiting(
    books: Books, start: Start, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With spans so short that it takes long, as it does among millions."""
    monkeypatch.setattr(launch, "FIRST_SPAN", 1)
    monkeypatch.setattr(launch, "SHORTEST_SPAN", 1)
    monkeypatch.setattr(launch, "LONGEST_SPAN", 1)
    books.clients(20_000)
    books.clients(3, tag="few")
    slow = books.mailing(ends=MINUTE, tags=["nobody"])
    start()
    wait_until(lambda: mailing(books, slow).audience_cursor)
    quick = books.mailing(ends=HOUR)
    job_of(consumer, quick)
    row = mailing(books, slow)
    assert row.launched_at is None
    assert row.audience == 0


def test_launches_take_turns_and_the_nearest_end_comes_first(
    books: Books, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "FIRST_SPAN", 10)
    monkeypatch.setattr(launch, "SHORTEST_SPAN", 10)
    monkeypatch.setattr(launch, "LONGEST_SPAN", 10)
    books.clients(50)
    ends = (3 * HOUR, HOUR, 2 * HOUR)
    later, sooner, middle = (books.mailing(ends=end) for end in ends)
    start()
    wait_until(lambda: all(mailing(books, mailing_id).launched_at for mailing_id in (later, sooner, middle)))
    rows = books.run("select mailing_id, client_id from messages order by id")
    assert [row.mailing_id for row in rows[::10]] == [sooner, middle, later] * 5


def test_a_launch_that_loses_its_connection_goes_on_with_the_next(
    books: Books, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "FIRST_SPAN", 10)
    monkeypatch.setattr(launch, "LONGEST_SPAN", 10)
    create, slices = create_messages, 0

    def create_until_killed(connection: Connection, *more: Any) -> Any:
        nonlocal slices
        slices += 1
        if slices == 2:
            connection.exec_driver_sql("select pg_terminate_backend(pg_backend_pid())")
        return create(connection, *more)

    monkeypatch.setattr(launch, "create_messages", create_until_killed)
    books.clients(50)
    one, other = books.mailing(), books.mailing()
    start()
    wait_until(lambda: all(mailing(books, each).launched_at for each in (one, other)))
    assert len(books.ids(one)) == len(books.ids(other)) == 50


# ---------------------------------------------------------------- the broker


@pytest.fixture(params=["rabbitmq", "table"])
def far_broker(request: pytest.FixtureRequest, books_url: str) -> Iterator[tuple[Broker, Broker, TcpProxy]]:
    """A broker as it is, the same by way of a proxy, and the proxy."""
    with TcpProxy() as proxy:
        url = make_url(request.getfixturevalue("rabbitmq_url") if request.param == "rabbitmq" else books_url)
        adapter = RabbitMQ if request.param == "rabbitmq" else TableBroker
        host = url.query.get("host")
        proxy.target = f"{host}/.s.PGSQL.5432" if host else (url.host or "", url.port or 0)
        far = url.difference_update_query(["host"]).set(host="127.0.0.1", port=proxy.port)
        yield adapter(url.render_as_string(False), LADDER), adapter(far.render_as_string(False), LADDER), proxy


def test_a_broker_that_accepts_and_says_nothing_holds_up_nothing_else(
    books: Books, start: Start, others: Others, far_broker: tuple[Broker, Broker, TcpProxy]
) -> None:
    near, far, proxy = far_broker
    with proxy.silent():
        start(broker=far)
        [leader] = wait_until(lambda: leaders(books))
        mailing_id = others.begin()
        wait_until(others.are_served, patience(SOON))
    with closing(near.connect()) as session:
        job_of(Consumer(session), mailing_id, within=40)
    assert leaders(books) == [leader]


def test_a_broker_that_turns_silent_holds_up_nothing_else(
    books: Books, start: Start, others: Others, far_broker: tuple[Broker, Broker, TcpProxy]
) -> None:
    near, far, proxy = far_broker
    start(broker=far)
    with closing(near.connect()) as session:
        consumer = Consumer(session)
        job_of(consumer, others.begin())
        with proxy.silent():
            mailing_id = others.begin()
            wait_until(others.are_served, patience(SOON))
        job_of(consumer, mailing_id, within=40)


def test_a_broker_that_is_a_second_away_is_used_as_well_as_it_allows(
    books: Books, start: Start, others: Others, far_broker: tuple[Broker, Broker, TcpProxy]
) -> None:
    near, far, proxy = far_broker
    with proxy.late(0.5), closing(near.connect()) as session:
        start(broker=far)
        [leader] = wait_until(lambda: leaders(books))
        mailing_id = others.begin()
        wait_until(others.are_served, patience(SOON))
        job_of(Consumer(session), mailing_id, within=60)
        assert leaders(books) == [leader]


# ---------------------------------------------------------------- what it takes


def test_a_leader_has_four_connections_and_a_fifth_to_the_table_broker(
    books: Books, start: Start, consumer: Consumer
) -> None:
    start()
    start()
    books.clients(1)
    job_of(consumer, books.mailing())

    def connections() -> dict[str, int]:
        rows = books.run(
            "select application_name as name, count(*) as number from pg_stat_activity "
            "where datname = current_database() group by name"
        )
        return {row.name: row.number for row in rows}

    # The one that stands by has one; and the consumer has one to the broker.
    wait_until(lambda: (connections()["feeder"], connections()["broker"]) == (4 + 1, 1 + 1))


def test_every_chore_says_when_it_was_last_done(books: Books, start: Start) -> None:
    began = time.time()
    start()
    for chore in [
        *(
            chore.name
            for chore in all_chores(10, LeaseGuard(60), lambda _: None, HOUR, ids=SettledIds(int), remember=int)
        ),
        Launcher.name,
    ]:
        wait_until(lambda: metric("feeder_chore_last_run_seconds", chore=chore) > began)  # noqa: B023 (at once)
