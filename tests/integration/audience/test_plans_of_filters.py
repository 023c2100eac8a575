"""How the database finds whom a filter chooses: a slice of a launch by the key alone, a count by the index of
attributes; whatever is known about the tables."""

import json
import re
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, TextClause, event, text

from shared.audience import counting, surveying
from shared.audience.chosen import chosen
from shared.domain.filter import Filter
from shared.domain.segments import Audience
from shared.messages import create_statement
from tests.support.books import Books
from tests.support.plans import explain, pages, touched

MANY = 100_000
RARE = {"attributes": {"visits": [7]}}
"""A client in a thousand."""

PENDING = 512
"""Pages of `gin_pending_list_limit`."""


@pytest.fixture(scope="module", params=["unknown", "analysed"])
def full(request: pytest.FixtureRequest, books_engine: Engine) -> Engine:
    books = Books(books_engine)
    books.empty()
    books.run("alter table clients set (autovacuum_enabled = off)")
    books.clients(MANY)
    books.run("""
        update clients set attributes = jsonb_build_object('visits', id % 1000, 'city', 'City ' || id % 2)
        where id % 4 <> 0
    """)
    books.mailing()
    if request.param == "analysed":
        books.run("analyze clients")
    return books_engine


def looked_at(connection: Connection, statement: TextClause, values: Any) -> tuple[set[str], int, str]:
    """The ways to clients, how many pages were touched, and the plan."""
    plan, said = explain(connection, statement, values)
    connection.rollback()
    return {way for relation, way in touched(plan) if relation == "clients"}, pages(plan), said


@pytest.mark.parametrize("wanted", [RARE, {"segments": [1]}, {"exclude": {"attributes": {"city": ["City 1"]}}}])
def test_a_slice_goes_by_the_key(full: Engine, wanted: Any) -> None:
    audience = Audience(Filter.of_json(wanted), {1: Filter.of_json(RARE)})
    slice_ = chosen(audience, (), create_statement.SPAN_READ, "job")
    job = {"part": 1, "id": 1, "state": "pending", "zones": [], "openings": [], "lane": 0}
    job |= {"audience_cursor": 50_000, "audience_limit": MANY, **slice_.values}
    values = {"span": 1_000, "reason": "opted_out", "jobs": json.dumps([job])}
    with full.connect() as connection:
        ways, number, said = looked_at(connection, create_statement.creating(slice_), values)
    assert ways <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, said
    used = set(re.findall(r'"Index Name": "(clients_\w+)"', said))
    # PostgreSQL 18 may go through the few codes of an index that has ids behind them: that is by the key as well.
    assert {"clients_pkey"} <= used <= {"clients_pkey", "clients_operator_code_id_idx"}, said
    assert number < 6_000, said


@pytest.mark.parametrize("wanted", [RARE, {"segments": [1]}, {**RARE, "exclude": {"tags": ["vip"]}}])
def test_a_count_of_few_reads_them_and_no_others(full: Engine, wanted: Any) -> None:
    """A hundred, each on a page of its own, and what is not in its place in the index yet."""
    all_of_them = chosen(Audience(Filter.of_json(wanted), {1: Filter.of_json(RARE)}), ())
    with full.connect() as connection:
        ways, number, said = looked_at(connection, counting._count(all_of_them), all_of_them.values)
        assert connection.scalar(counting._count(all_of_them), all_of_them.values) == MANY // 1000
    assert ways == {"Bitmap Heap Scan"}, said
    assert number < 200 + PENDING, said


@pytest.mark.parametrize("wanted", [{}, {"exclude": {"attributes": {"city": ["City 1"]}}}])
def test_a_sample_of_many_looks_at_few(full: Engine, wanted: Any) -> None:
    """Of ten million it took a second to look at all of them."""
    audience = Audience(Filter.of_json(wanted), {})
    statements: list[tuple[Any, Any]] = []
    with full.connect() as connection:
        among = surveying.survey(connection, audience).clients
        event.listen(connection, "before_execute", lambda *said: statements.append((said[1], said[3])))
        drawn, again = (surveying.sample(connection, audience, among, 50) for _ in range(2))
        _, number, said = looked_at(connection, *statements[-1])
    ids = [one.id for one in drawn]
    assert drawn == again
    assert 45 <= len(set(ids)) == len(ids) <= 50
    assert MANY * 0.4 < sum(ids) / len(ids) < MANY * 0.6  # from all over the directory
    assert number < 600, said  # four to five for each id; the table has more than a thousand


@pytest.mark.parametrize("wanted", [{"attributes": {"city": ["City 1"]}}, {"exclude": {"attributes": {"visits": [7]}}}])
def test_an_estimate_looks_at_few(full: Engine, monkeypatch: pytest.MonkeyPatch, wanted: Any) -> None:
    monkeypatch.setattr(counting, "_DRAWS", 500)
    audience = Audience(Filter.of_json(wanted), {})
    statements: list[tuple[Any, Any]] = []
    with full.connect() as connection:
        number = counting.count_clients(connection, audience)
        event.listen(connection, "before_execute", lambda *said: statements.append((said[1], said[3])))
        about = counting.estimate_clients(connection, audience)
        ways, read, said = looked_at(connection, *statements[-1])
    assert about is not None
    assert number * 0.8 < about < number * 1.2
    assert ways == {"Index Scan"}, said
    assert read < 500 * 5, said


def test_who_has_no_attributes_costs_the_index_nothing(full: Engine) -> None:
    with full.connect() as connection:
        before = connection.scalar(text("select pg_relation_size('clients_attributes_idx')"))
        connection.execute(
            text("""
            insert into clients (phone, operator_code, timezone)
            select 78000000000 + n, '900', 'UTC' from generate_series(1, 20000) n
        """)
        )
        assert connection.scalar(text("select pg_relation_size('clients_attributes_idx')")) == before
        connection.rollback()
