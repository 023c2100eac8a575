"""What is removed after its time, what stays, and what is said of it. Each test has a database of its own, since parts
come and go."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY, generate_latest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from dispatcher_service.leading.chores import keeping_chores
from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.chores.delete_leftovers import DeleteLeftovers
from dispatcher_service.leading.chores.drop_parts import DropParts
from dispatcher_service.leading.chores.remove_old import RemoveOld
from dispatcher_service.leading.chores.show_figures import ShowFigures
from dispatcher_service.leading.chores.turn_parts import TurnParts
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.session import own_connection
from shared.broker import topology
from shared.broker.table import TableBroker
from shared.domain import retention
from shared.domain.retention import Retention
from shared.ledger import report
from shared.ledger.__main__ import main as ledger
from shared.ledger.repair import find_accounts, mend
from shared.ledger.slot import Slot
from shared.retention import leftovers
from shared.retention import parts as parts_module
from shared.retention.__main__ import main as command
from tests.support.api import HOUR, Api, from_now, mailing
from tests.support.books import SENT, Books
from tests.support.keeping import age, close_part, finished, part_of, parts, standing, tables
from tests.support.leading import LADDER
from tests.support.waiting import wait_until

KEPT = Retention(90)


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


@pytest.fixture
def broker(database_url: str) -> TableBroker:
    return TableBroker(database_url, LADDER)


class Keeper:
    """The chores, one step after the other, in the thread of the test."""

    def __init__(self, engine: Engine, acts: Isolation, broker: TableBroker) -> None:
        self._step = Step(acts, ())
        self._engine, self._broker = engine, broker

    def run(self, *kinds: type[Chore], kept: Retention = KEPT) -> None:
        """Those chores, as if they had never run before, until there is nothing more to do."""
        for chore in (TurnParts(), *keeping_chores(self._engine, self._broker, kept, lambda: False)):
            while isinstance(chore, kinds) and chore.run(self._step):
                pass

    def show(self) -> None:
        """The metrics are as the leader shows them."""
        ShowFigures().run(self._step)


@pytest.fixture
def keeper(engine: Engine, broker: TableBroker) -> Iterator[Keeper]:
    with own_connection(engine) as connection:
        yield Keeper(engine, Isolation(connection, Slot("keeper")), broker)


def seen(engine: Engine, mailing_id: int) -> tuple[Any, ...]:
    """Every figure that there is of a mailing, of all mailings and of the day."""
    api = Api(engine)
    detail = api("GET", f"/mailings/{mailing_id}/detail_statistics/").json
    for name in ("messages", "messages_removed_at"):
        del detail[name]
    with engine.connect() as connection:
        today = connection.scalar(text("select now()"))
        assert isinstance(today, datetime)
        of_day = report.read(connection, today.date(), ZoneInfo("UTC"))
    return detail, api("GET", "/mailings/general_statistics/").json, of_day


# ---------------------------------------------------------------- parts in time


def test_there_is_always_a_part_to_launch_into_and_one_ahead(
    books: Books, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert standing(books) == tables(1)
    keeper.run(TurnParts)
    assert standing(books) == tables(1, 2)
    first, _ = books.launched(3)
    monkeypatch.setattr(retention, "PART_MESSAGES", 4)
    keeper.run(TurnParts)
    assert parts(books) == [1, 2]
    second, _ = books.launched(3)  # to the first three, too
    keeper.run(TurnParts)
    assert standing(books) == tables(1, 2, 3)
    third, _ = books.launched(1)
    assert [part_of(books, mailing_id) for mailing_id in (first, second, third)] == [1, 1, 2]
    assert [row.id for row in books.run("select id from messages where part = 2")] == books.ids(third)


def test_a_part_is_closed_a_day_after_its_first_launch(books: Books, keeper: Keeper) -> None:
    books.run("update parts set made_at = now() - interval '2 days'")
    keeper.run(TurnParts)
    first, _ = books.launched(1)
    keeper.run(TurnParts)
    assert parts(books) == [1, 2]
    books.run("update mailings set launched_at = now() - interval '1 day' where id = :id", id=first)
    keeper.run(TurnParts)
    assert parts(books) == [1, 2, 3]
    assert [row.number for row in books.run("select number from parts where closed_at is not null")] == [1]


def test_two_who_make_parts_at_the_same_time_make_one(engine: Engine, books: Books) -> None:
    with engine.connect() as first, engine.connect() as second:
        first.begin()
        assert parts_module.turn(first).made == [2]
        made: list[Any] = []

        def follow() -> None:
            with second.begin():
                made.append(parts_module.turn(second).made)

        thread = threading.Thread(target=follow)
        thread.start()
        wait_until(lambda: books.run("select from pg_stat_activity where wait_event_type = 'Lock'"))
        first.commit()
        thread.join(10)
    assert made == [[]]
    assert standing(books) == tables(1, 2)


# ---------------------------------------------------------------- a part goes


@pytest.fixture
def three(books: Books, keeper: Keeper) -> list[int]:
    """A mailing in each of three parts: the one of the second is to go."""
    mailings = []
    for days in (80, 100, 80):
        mailings.append(finished(books, 10, days_ago=days))
        close_part(books, days_ago=95)
        keeper.run(TurnParts)
    assert [part_of(books, mailing_id) for mailing_id in mailings] == [1, 2, 3]
    return mailings


def test_a_part_is_dropped_and_every_figure_stays(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    books.run("update tallies set slot = slot + 7 where mailing_id = :id and name = 'sent'", id=three[1])
    books.run(
        """insert into tallies (mailing_id, quarter, slot, name, count)
           select mailing_id, quarter, 3, name, 5 from tallies where mailing_id = :id and name like 'error.%'""",
        id=three[1],
    )
    before = [seen(engine, mailing_id) for mailing_id in three]
    keeper.run(DropParts)
    assert standing(books) == tables(1, 3, 4, 5)
    assert parts(books) == [1, 3, 4, 5]
    assert [seen(engine, mailing_id) for mailing_id in three] == before
    rows = books.run("select mailing_id, count(*) from messages group by 1 order by 1")
    assert [tuple(row) for row in rows] == [(three[0], 10), (three[2], 10)]
    assert {row.slot for row in books.run("select slot from tallies where mailing_id = :id", id=three[1])} == {-1}
    keeper.run(DropParts)
    assert [seen(engine, mailing_id) for mailing_id in three] == before


def test_what_is_removed_is_said_in_a_line_of_the_log_and_a_metric(
    books: Books, keeper: Keeper, three: list[int], held: tuple[int, int, int]
) -> None:
    books.run("insert into imports (heard_at) values (now() - interval '91 days')")
    kinds = ("parts", "messages", "imports")
    before = [REGISTRY.get_sample_value("feeder_removed_total", {"what": kind}) or 0 for kind in kinds]
    with capture_logs() as lines:
        keeper.run(DropParts, DeleteLeftovers, RemoveOld)
    after = [REGISTRY.get_sample_value("feeder_removed_total", {"what": kind}) or 0 for kind in kinds]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 10 + 20, 1]
    said = [line for line in lines if line["event"] == "removed"]
    assert said[0].pop("bytes") > 0
    assert said == [
        {"event": "removed", "log_level": "info", "what": "part", "part": 2, "mailings": 1, "messages": 10},
        {"event": "removed", "log_level": "info", "what": "messages", "mailing_id": held[0], "part": 4},
        {"event": "removed", "log_level": "info", "what": "imports", "number": 1, "after_days": 90},
    ]


def test_when_everything_is_gone_every_figure_is_still_there(
    engine: Engine, books: Books, keeper: Keeper, three: list[int], held: tuple[int, int, int]
) -> None:
    """Of the API, of the reports of any day in any time zone, and of the metrics."""
    *_, running = held
    assert books.record(SENT, books.claim(running, books.due(running))) == 0
    assert books.finish([running]) == [running]
    mailings = [*three, *held]
    for days, mailing_id in enumerate(mailings):
        books.run(
            "update tallies set quarter = quarter - :days * interval '25 hours' where mailing_id = :id",
            days=days, id=mailing_id,
        )  # fmt: skip
    books.check()
    before = everything(engine, keeper, mailings)
    keeper.run(DropParts)
    keeper.run(DeleteLeftovers)
    for mailing_id in mailings:
        age(books, mailing_id, 91)
    keeper.run(DropParts)
    assert books.run("select from messages") == []
    assert books.run("select from attempts") == []
    assert standing(books) == tables(5, 6), "those that the next mailings go to"
    assert everything(engine, keeper, mailings) == before


def everything(engine: Engine, keeper: Keeper, mailings: Sequence[int]) -> list[Any]:
    found: list[Any] = [seen(engine, mailing_id) for mailing_id in mailings]
    with engine.connect() as connection:
        today = connection.scalar(text("select now()"))
        for zone in ("Asia/Kamchatka", "Asia/Kathmandu", "Pacific/Honolulu"):
            found += [report.read(connection, today.date() - timedelta(n), ZoneInfo(zone)) for n in range(-1, 8)]
    assert any(one.sent for one in found[len(mailings) :])
    keeper.show()
    shown = generate_latest().decode().splitlines()
    return found + [
        line for line in shown if line.startswith(("feeder_messages{", "feeder_mailings{", "feeder_totals"))
    ]


def test_a_mailing_says_since_when_its_messages_are_removed(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    api = Api(engine)
    path = f"/mailings/{three[1]}/detail_statistics/"
    assert api("GET", path).json["messages_removed_at"] is None
    assert api("GET", path).total == 10
    keeper.run(DropParts)
    for query in ("", "?status=sent", "?status=failed", "?status=pending"):
        answer = api("GET", path + query)
        assert answer.json["messages_removed_at"] is not None
        assert (answer.json["messages"], answer.total) == ([], 0)
        assert (answer.json["audience"], answer.json["sent"], answer.json["failed"]) == (10, 9, 1)
    assert api("GET", f"/mailings/{three[0]}/detail_statistics/").total == 10


def test_no_check_takes_what_is_removed_for_what_is_lost(
    engine: Engine,
    database_url: str,
    books: Books,
    keeper: Keeper,
    three: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    books.run("insert into ledger_findings (mailing_id, difference) values (:id, '{\"sent\": 1}')", id=three[1])
    keeper.run(DropParts)
    before = seen(engine, three[1])
    assert books.run("select from ledger_findings") == []
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert ledger(["repair"]) == 0
    assert ledger(["repair", "--mailing", str(three[1])]) == 2
    assert f"There is no mailing {three[1]}, or its messages are removed." in capsys.readouterr().err
    assert seen(engine, three[1]) == before


def test_a_repair_that_has_read_what_is_removed_by_now_mends_nothing(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    books.run("update mailing_counters set sent = sent + 1 where mailing_id = :id", id=three[1])
    with engine.connect() as connection:
        [account] = find_accounts(connection, [three[1]])
        assert account.difference == {"sent": 1}
        keeper.run(DropParts)
        before = seen(engine, three[1])
        mend(connection, account)
    assert seen(engine, three[1]) == before


def test_messages_stay_until_a_mailing_that_leaves_out_who_got_them_has_started(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    api = Api(engine)
    segment = api.make("/segments/", {"name": "Others", "filter": {"exclude": {"mailings": [three[1]]}}})
    made = api.make("/mailings/", mailing(filter={"segments": [segment["id"]]}))
    keeper.run(DropParts, DeleteLeftovers)
    assert standing(books) == tables(1, 2, 3, 4, 5)
    assert api("GET", f"/mailings/{three[1]}/detail_statistics/").json["messages_removed_at"] is None
    assert api("PATCH", f"/mailings/{made['id']}/", {"starts_at": from_now(-HOUR)}).status == 200
    assert api.launch(made["id"]) == 20 + 1  # who did not get it
    keeper.run(DropParts)
    assert standing(books) == tables(1, 3, 4, 5)


def test_messages_are_not_given_up_while_somebody_is_about_to_name_their_mailing(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    """Whoever makes such a mailing holds that one, and the keeper passes it over."""
    with engine.begin() as connection:
        connection.execute(text("select from mailings where id = :id for share"), {"id": three[1]})
        keeper.run(DropParts)
    assert standing(books) == tables(1, 2, 3, 4, 5)
    wait_until(lambda: keeper.run(DropParts) or standing(books) == tables(1, 3, 4, 5))  # set aside for a moment


def test_nothing_goes_where_everything_is_kept(books: Books, keeper: Keeper, three: list[int]) -> None:
    keeper.run(DropParts, DeleteLeftovers, RemoveOld, kept=Retention(0))
    assert standing(books) == tables(1, 2, 3, 4, 5)


def test_a_part_with_a_mailing_that_is_locked_waits_for_it(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    with engine.connect() as somebody:
        somebody.execute(text("select from mailings where id = :id for update"), {"id": three[1]})
        keeper.run(DropParts)
        assert standing(books) == tables(1, 2, 3, 4, 5)
    keeper.run(DropParts)  # it is set aside for a moment
    wait_until(lambda: keeper.run(DropParts) or standing(books) == tables(1, 3, 4, 5))


@contextmanager
def reading(engine: Engine, statement: str) -> Iterator[None]:
    """Somebody reads, and does not end their transaction."""
    with engine.connect() as connection:
        connection.execute(text("set idle_in_transaction_session_timeout = 0"))
        connection.execute(text(statement))
        yield


@pytest.mark.parametrize("statement", ["select count(*) from messages", "select count(*) from messages_2"])
def test_whoever_reads_delays_the_drop_and_nobody_else(
    engine: Engine, books: Books, keeper: Keeper, three: list[int], statement: str
) -> None:
    _, ids = books.launched(5)
    dropping = threading.Thread(target=keeper.run, args=(DropParts,))
    with reading(engine, statement):
        dropping.start()
        wait_until(lambda: books.run("select from pg_inherits where inhdetachpending"))
        with engine.connect() as others:
            others.execute(text("set lock_timeout = 100"))
            for _ in range(20):
                others.execute(text("update messages set lane = lane where id = any(:ids)"), {"ids": ids})
                assert others.scalar(text("select count(*) from messages where client_id = 1")) == 2
                others.commit()
        assert dropping.is_alive()
    dropping.join(10)
    assert standing(books) == tables(1, 3, 4, 5)


def test_parts_are_made_while_one_that_is_dropped_waits_for_readers(
    engine: Engine, books: Books, keeper: Keeper, three: list[int]
) -> None:
    dropping = threading.Thread(target=keeper.run, args=(DropParts,))
    with reading(engine, "select count(*) from messages"):
        dropping.start()
        wait_until(lambda: books.run("select from pg_inherits where inhdetachpending"))
        close_part(books, days_ago=0)
        with engine.begin() as leader:
            leader.execute(text("set local lock_timeout = 100"))
            assert parts_module.turn(leader).made == [6]
        assert dropping.is_alive()
    dropping.join(10)
    assert standing(books) == tables(1, 3, 4, 5, 6)


# ---------------------------------------------------------------- leftovers


@pytest.fixture
def held(books: Books, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """A part with a mailing of 190 days ago, one of 100 days ago, and one that runs, their ids among each other."""
    monkeypatch.setattr(leftovers, "SLICE", 7)
    old, younger = finished(books, 20, days_ago=190), finished(books, 10, days_ago=100)
    running, _ = books.launched(5)
    for number, mailing_id in enumerate((old, younger)):
        ids = books.ids(mailing_id)
        for table, column in (("attempts", "message_id"), ("messages", "id")):
            books.run(
                f"update {table} set {column} = 1000 + 2 * ({column} - :first) + :number where {column} = any(:ids)",
                first=ids[0], number=number, ids=ids,
            )  # fmt: skip
        books.run(
            "update mailings set first_message_id = :first, last_message_id = :last where id = :id",
            id=mailing_id, first=books.ids(mailing_id)[0], last=books.ids(mailing_id)[-1],
        )  # fmt: skip
    close_part(books, days_ago=190)
    keeper.run(TurnParts)
    return old, younger, running


def test_rows_of_a_part_that_stays_are_deleted_after_twice_as_long(
    engine: Engine, books: Books, keeper: Keeper, held: tuple[int, int, int]
) -> None:
    old, younger, running = held
    before = seen(engine, old), books.states(younger), books.states(running)
    keeper.run(DropParts)
    assert standing(books) == tables(1, 2, 3)
    keeper.run(DeleteLeftovers)
    assert books.states(old) == {}
    assert (seen(engine, old), books.states(younger), books.states(running)) == before
    assert [row.error for row in books.run("select error from attempts")] == ["rejected"]
    [mailing] = books.run("select * from mailings where id = :id", id=old)
    assert mailing.messages_removed_at is not None
    assert (mailing.first_message_id, mailing.last_message_id) == (None, None)
    answer = Api(engine)("GET", f"/mailings/{old}/detail_statistics/")
    assert (answer.json["messages"], answer.total) == ([], 0)


def test_who_is_stopped_while_deleting_leaves_the_rest_to_the_next_one(
    engine: Engine, books: Books, keeper: Keeper, held: tuple[int, int, int]
) -> None:
    old, younger, _ = held
    keeper.run(DropParts)
    with engine.begin() as connection:
        leftover = leftovers.next_leftover(connection)
        assert leftover is not None
        deleted, _ = leftovers.delete_slice(connection, leftover)
    assert 0 < deleted <= 7
    with engine.connect() as connection:  # stopped before its commit
        leftover = leftovers.next_leftover(connection)
        assert leftover is not None
        leftovers.delete_slice(connection, leftover)
    assert sum(books.states(old).values()) == 20 - deleted
    keeper.run(DeleteLeftovers)
    assert (books.states(old), sum(books.states(younger).values())) == ({}, 10)


def test_a_part_that_goes_takes_along_what_is_still_to_be_deleted(
    engine: Engine, books: Books, keeper: Keeper, held: tuple[int, int, int]
) -> None:
    *_, running = held
    keeper.run(DropParts)
    claimed = books.claim(running, books.due(running))
    assert books.record(SENT, claimed) == 0
    assert books.finish([running]) == [running]
    age(books, running, 91)
    keeper.run(DropParts)
    assert standing(books) == tables(2, 3)
    keeper.run(DeleteLeftovers)
    assert books.run("select from mailings where first_message_id is not null") == []


@pytest.mark.parametrize("analysed", [False, True])
def test_no_step_reads_a_part_as_a_whole(engine: Engine, books: Books, analysed: bool) -> None:
    """Whatever the planner knows of it: here nothing, or what was so while it was empty."""
    books.run("alter table messages_1 set (autovacuum_enabled = off)")
    books.run("alter table attempts_1 set (autovacuum_enabled = off)")
    if analysed:
        books.run("analyze messages_1, attempts_1")
    books.run(
        """insert into messages (part, mailing_id, client_id, status)
           select 1, 1, n, 'sent' from generate_series(1, 50000) n"""
    )
    books.run("insert into attempts (part, message_id, number, at) select 1, id, 1, now() from messages")
    bounds = {"number": 1, "mailing_id": 1, "part": 1, "first": 20_000, "last": 40_000, "slice": 5_000}
    for statement in (leftovers._DELETE, parts_module._FILLED):
        with engine.connect() as connection:
            if statement is leftovers._DELETE:
                connection.execute(leftovers._BY_INDEX)
            plan = "\n".join(connection.scalars(text(f"explain {statement.text}"), bounds))
        assert "Seq Scan on messages" not in plan, plan
        assert "Seq Scan on attempts" not in plan, plan
        assert "Bitmap" not in plan, plan


# ---------------------------------------------------------------- what else goes


def test_every_other_kind_goes_after_its_own_days(books: Books, keeper: Keeper, broker: TableBroker) -> None:
    books.run(
        """insert into imports (name, started_at, heard_at, ended_at) values
               ('old', now() - interval '91 days', now() - interval '91 days', now() - interval '91 days'),
               ('broken off', now() - interval '91 days', now() - interval '91 days', null),
               ('long', now() - interval '91 days', now(), null),
               ('new', now() - interval '91 days', now() - interval '89 days', now() - interval '89 days')"""
    )
    books.run(
        """insert into api_keys (id, name, scope, digest, expires_at, revoked_at) values
               ('a', 'expired', 'read', '', now() - interval '366 days', null),
               ('b', 'revoked', 'read', '', null, now() - interval '366 days'),
               ('c', 'expired lately', 'read', '', now() - interval '364 days', null),
               ('d', 'for ever', 'read', '', null, null)"""
    )
    books.run(
        """insert into people (id, issuer, subject, name, scope, signed_in_at) values
               ('a', 'https://id.example', 'gone', 'Anna', 'read', now() - interval '366 days'),
               ('b', 'https://id.example', 'here', 'Boris', 'read', now() - interval '364 days')"""
    )
    with broker.connect() as session:
        session.subscribe([topology.DISPATCH], 10)
        session.publish(topology.DISPATCH, [b"1", b"2"])
        for delivery in session.receive(5):
            session.bury(delivery, "nonsense")
    books.run("update broker_jobs set visible_at = now() - interval '31 days' where body = '1'")
    keeper.run(RemoveOld)
    assert {row.name for row in books.run("select name from imports")} == {"long", "new"}
    assert {row.id for row in books.run("select id from api_keys")} == {"c", "d"}
    assert {row.id for row in books.run("select id from people")} == {"b"}
    assert [bytes(row.body) for row in books.run("select body from broker_jobs")] == [b"2"]


# ---------------------------------------------------------------- what would go


def test_a_dry_run_says_what_would_go_and_changes_nothing(
    database_url: str,
    books: Books,
    three: list[int],
    held: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    books.run("insert into imports (heard_at) values (now() - interval '91 days')")
    monkeypatch.setenv("DATABASE_URL", database_url)
    before = _everything(books)
    assert command(["--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("Part 2 goes: 1 mailings with 10 messages, ")
    assert said[2].startswith("Part 4 stays, since younger mailings are in it; of it go 1 mailings with 20 messages")
    assert "Imports of clients go after 90 days: 1." in said
    assert said[-1] == "Nothing was changed."
    assert _everything(books) == before


def test_a_dry_run_where_everything_is_kept(
    database_url: str, three: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RETENTION_DAYS", "0")
    assert command(["--dry-run"]) == 0
    assert capsys.readouterr().out == "RETENTION_DAYS is 0: nothing is ever removed.\n"


def test_the_command_removes_nothing_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command([])
    assert ended.value.code == 2
    assert "--dry-run" in capsys.readouterr().err


def _everything(books: Books) -> list[Any]:
    tables = ("mailings", "messages", "attempts", "tallies", "mailing_counters", "parts", "imports", "api_keys")
    return [books.run(f"select * from {name} order by 1, 2, 3") for name in tables]
