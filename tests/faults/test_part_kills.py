"""`kill -9` of the leader between each two steps of a part's way out, while a mailing goes out."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import requests

from dispatcher_service.leading.chores.chore import Step
from dispatcher_service.leading.chores.drop_parts import DropParts
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.session import own_connection
from notification_client import Json
from sandbox.simulator.faults import Faults
from shared.database.engine import make_engine
from shared.domain.retention import Retention
from shared.ledger.figures import read_figures
from shared.ledger.slot import Slot
from shared.ledger.totals import totals_difference
from shared.retention.parts import turn
from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.faults.stage import DISPATCHER
from tests.support.backup import dump, restored_beside
from tests.support.books import Books
from tests.support.keeping import close_part, parts, standing, tables
from tests.support.waiting import patience

CLIENTS = 6_000
PACE = Faults(latency_ms=100)
SHORT_LEASE = {
    "CONSTANTS": json.dumps(
        {
            "dispatcher_service.pipeline.worker.LEASE_MARGIN": 4.0,
            "dispatcher_service.leading.chores.rescue_leases.RESCUE_AFTER": 0.0,
        }
    )
}

WALL = 4711
"""An advisory lock that the test holds: whoever begins something that is held has to wait for it."""

_HOLD = f"""
    create table held (statement text);
    grant all on held to public;
    create function hold() returns event_trigger language plpgsql as $$
    begin
        if exists (select from held where current_query() ~* statement) then
            perform pg_advisory_xact_lock({WALL});
        end if;
    end $$;
    create event trigger hold on ddl_command_start when tag in ('ALTER TABLE', 'DROP TABLE') execute function hold()
"""


class Hold:
    """Stops the way of a part at a point from `begin` to `end`: somebody has done that and does not end their
    transaction."""

    def __init__(self, url: str, statement: str) -> None:
        self._url, self._statement = url, statement

    def begin(self) -> None:
        self._somebody = psycopg2.connect(self._url)
        with self._somebody.cursor() as cursor:
            if self._statement.startswith("copy"):
                cursor.copy_expert(self._statement, io.BytesIO())
            else:
                cursor.execute(self._statement)

    def end(self) -> None:
        self._somebody.close()


class Barrier:
    """The same: nobody begins a statement like that, a regular expression."""

    def __init__(self, wall: psycopg2.extensions.connection, statement: str) -> None:
        """wall: the session that has the lock of that number."""
        self._wall, self._statement = wall, statement

    def begin(self) -> None:
        self._wall.cursor().execute("insert into held values (%s)", [self._statement])

    def end(self) -> None:
        with self._wall.cursor() as cursor:
            cursor.execute("delete from held where statement = %s", [self._statement])
            # Who was killed and waits has a server that notices in a few seconds; at once, it would go on.
            cursor.execute(
                """select pg_terminate_backend(pid) from pg_locks
                   where locktype = 'advisory' and objid = %s and not granted""",
                [WALL],
            )


@dataclass(frozen=True)
class Point:
    """A place between two steps: what holds the leader there, and how one sees that it has come there."""

    name: str
    hold: Hold | Barrier
    is_reached: Callable[[], object]


def points(books: Books, url: str, wall: psycopg2.extensions.connection, mailing_id: int) -> list[Point]:
    def by(statement: str) -> Hold:
        return Hold(url, statement)

    def before(statement: str) -> Barrier:
        return Barrier(wall, statement)

    def pending(table: str) -> Callable[[], object]:
        return lambda: books.run(
            """select from pg_inherits join pg_class on pg_class.oid = inhrelid
               where inhdetachpending and relname = :name""",
            name=table,
        )

    def detached(table: str) -> Callable[[], object]:
        return lambda: standing(books).get(table) is False and not pending(table)()

    def gone(table: str) -> Callable[[], object]:
        return lambda: table not in standing(books)

    def given_up() -> object:
        return books.run("select messages_removed_at from mailings where id = :id", id=mailing_id)[0][0]

    return [
        Point("nothing is done", by(f"select from mailings where id = {mailing_id} for update"), lambda: True),
        Point("given up", before("alter table attempts detach"), given_up),
        Point("attempts are being detached", by("select count(*) from attempts"), pending("attempts_2")),
        Point("attempts are detached", before("drop table .*attempts"), detached("attempts_2")),
        Point("attempts are gone", before("alter table messages detach"), gone("attempts_2")),
        Point(DUMPED_AT, by("copy (select * from messages) to stdout"), pending("messages_2")),
        Point("messages are detached", before("drop table .*messages"), detached("messages_2")),
        Point("messages are gone", by("select from parts where number = 2 for update"), gone("messages_2")),
    ]


DUMPED_AT = "messages are being detached"


@pytest.mark.timeout(600)
def test_kills_between_any_two_steps_of_a_part_that_goes(start_system: StartSystem, tmp_path: Path) -> None:
    """Each time the next leader goes on; messages go out all the while, and figures stay."""
    system = start_system(
        "table", dispatchers=2, module=DISPATCHER, RETENTION_DAYS="1", DISPATCH_RATE="60", **SHORT_LEASE
    )
    books = Books(make_engine(system.database_url, "test"))
    wall = psycopg2.connect(system.database_url)  # a superuser's, and without a role
    wall.autocommit = True
    wall.cursor().execute(_HOLD)
    wall.cursor().execute(f"select pg_advisory_lock({WALL})")
    mailings = in_three_parts(system, books)
    figures = seen(system, mailings)
    system.fill(CLIENTS, tag="many")
    system.simulator.set_faults(PACE)
    load = system.mail(tags=["many"])
    [first, *others] = points(books, system.database_url, wall, mailings[1])
    books.run("update mailings set finished_at = now() - interval '2 days' where id = :id", id=mailings[1])
    first.hold.begin()
    kill_leader(system)  # so that the next one looks at once
    point = first
    for following in [*others, None]:
        system.until(point.is_reached, point.name, within=patience(30))
        sent = system.figures(load)["sent"]
        system.until_sent(load, sent + 10, within=patience(20))
        if point.name == DUMPED_AT:
            dump(system.database_url, tmp_path / "dump")
        if following:
            following.hold.begin()
        kill_leader(system)
        point.hold.end()
        point = following or point
    system.until(lambda: parts(books) == [1, 3, 4, 5], "the part is forgotten", within=patience(30))
    assert standing(books) == tables(1, 3, 4, 5)
    assert seen(system, mailings) == figures
    assert [len(system.messages(mailing_id)) for mailing_id in mailings] == [10, 0, 10]
    books.engine.dispose()
    wall.close()
    with restored(system.database_url, tmp_path / "dump") as copy:
        assert parts(copy) == [1, 2, 3, 4, 5]
        drop_by_hand(copy)
        assert standing(copy) == tables(1, 3, 4, 5)
        with copy.engine.connect() as connection:
            kept = read_figures(connection, mailings)
            assert totals_difference(connection) == {}
        assert [kept[mailing_id].audience for mailing_id in mailings] == [10, 10, 10]


def in_three_parts(system: System, books: Books) -> list[int]:
    """A mailing in each of three parts that were closed two days ago."""
    mailings = []
    for tag in ("a", "b", "c"):
        system.fill(10, tag=tag)
        mailings.append(system.mail(tags=[tag]))
        assert len(system.until_over(mailings[-1])) == 10
        close_part(books, days_ago=2)
        with books.engine.begin() as connection:
            turn(connection)
    assert standing(books) == tables(1, 2, 3, 4, 5)
    return mailings


def seen(system: System, mailings: Sequence[int]) -> list[Json]:
    """Every figure of these mailings."""
    hidden = ("messages", "messages_removed_at")
    details = [system.api.detail(mailing_id, page_size=1) for mailing_id in mailings]
    of_all = [each for each in system.api.statistics()["mailings"] if each["mailing_id"] in mailings]
    return [*({name: value for name, value in each.items() if name not in hidden} for each in details), *of_all]


def kill_leader(system: System) -> None:
    def look() -> str | None:
        for name in system.dispatchers:
            with suppress(requests.RequestException):
                if system.metric(name, "feeder_leader"):
                    return name
        return None

    name = system.until(look, "there is a leader", within=patience(30)) or ""
    system.processes.kill(name)
    system.begin_dispatcher(name)


@contextmanager
def restored(url: str, file: Path) -> Iterator[Books]:
    with restored_beside(url, file) as beside:
        engine = make_engine(beside, "test")
        yield Books(engine)
        engine.dispose()


def drop_by_hand(books: Books) -> None:
    """As a leader on that database would."""
    with own_connection(books.engine) as connection:
        step = Step(Isolation(connection, Slot("keeper")), ())
        DropParts(books.engine, Retention(1), lambda: False).run(step)
