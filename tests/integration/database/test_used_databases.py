"""A database that a test gets has been used by others, and is as if it were new."""

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.support.databases import Databases


@pytest.fixture
def own(postgres: str) -> Databases:
    return Databases(postgres)


def run(url: str, *statements: str) -> list[Any]:
    """What the last one gives."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def oid(url: str) -> int:
    """By which the server knows the database, whatever its name."""
    return int(run(url, "select oid from pg_database where datname = current_database()")[0][0])


CONTENTS = (
    "select (select count(*) from clients), (select count(*) from audit), (select json_agg(lanes)::text from lanes),"
    " (select json_agg(ledger_totals)::text from ledger_totals)"
)
ADD = "insert into clients (phone, operator_code, timezone) values (79120000000, '912', 'UTC') returning id"
NUMBER = "select nextval('message_ids')"


def test_the_next_one_finds_no_row_and_no_number_of_another(own: Databases) -> None:
    with own.one() as url:
        contents, used = run(url, CONTENTS), oid(url)
        assert run(url, ADD) == [(1,)]
        first = run(url, NUMBER)
        run(url, "insert into audit (by, action, thing, thing_id) values ('test', 'create', 'client', '1')")
        run(url, "update lanes set routing = routing + 1", "truncate ledger_totals")
        assert run(url, CONTENTS) != contents
    with own.one() as url:
        assert oid(url) == used
        assert run(url, CONTENTS) == contents
        assert (run(url, ADD), run(url, NUMBER)) == ([(1,)], first)


@pytest.mark.parametrize(
    "change",
    [
        "create table others (id int)",
        "alter table clients alter column tag drop not null",
        "alter table audit disable trigger user",
        "drop index clients_tag_id_idx",
        "grant select on api_keys to public",
        "create function one() returns int language sql as 'select 1'",
        "create schema others",
        "analyze clients",
        "do $$ begin execute format('alter database %I set work_mem = 1000', current_database()); end $$",
    ],
)
def test_one_with_another_schema_or_settings_is_given_to_nobody(own: Databases, change: str) -> None:
    with own.one() as url:
        used = oid(url)
        run(url, ADD, change)
    with own.one() as url:
        assert oid(url) != used


def test_whoever_is_left_behind_by_a_test_does_not_come_to_the_next_one(own: Databases) -> None:
    with own.one() as url, closing(psycopg2.connect(url)) as left:
        run(url, ADD)
        left.cursor().execute("lock table clients")
    with own.one() as another:
        assert run(another, ADD) == [(1,)]
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(url)
