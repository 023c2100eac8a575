"""What each statement about mailings reads where there are many: those that it is about, whatever the statistics say.

Nobody has analysed anything. Of 60 000 mailings 10 000 are not finished; nothing of them is due but of a few.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, TextClause

from dispatcher_service import leading
from dispatcher_service.statements import modules
from shared import messages, rates, standing
from shared.ledger import fold, moments
from shared.messages import probe
from tests.support.books import Books
from tests.support.plans import explain, pages, touched

ENDED, OPEN, DUE = 50_000, 10_000, 50
SOME = 100
"""Mailings that a statement is told; so many are asked for."""

MOST = 30 * SOME
"""Pages that it may touch for them."""

LARGE = {"mailings", "mailing_counters", "mailing_standings"}
"""None of these is read as a whole. What else there is has a row for each dispatcher, limit or slot."""


@pytest.fixture(scope="module")
def many(books_engine: Engine) -> Engine:
    books = Books(books_engine)
    books.empty()
    for table in LARGE:
        books.run(f"alter table {table} set (autovacuum_enabled = off)")
    for statement in _WRITE:
        books.run(statement, ended=ENDED, all=ENDED + OPEN, due=ENDED + DUE)
    return books_engine


_WRITE = (
    """insert into mailings (text, starts_at, ends_at, part, launched_at, audience_limit, closed_at, finished_at)
       select 'Hello', now() - interval '2 d', now() - interval '1 d', 1, now() - interval '2 d', 10, now(), now()
       from generate_series(1, :ended)""",
    """insert into mailings (text, starts_at, ends_at, part, launched_at, audience_limit)
       select 'Hello', now() - interval '1 h', now() + interval '1 d', 1, now() - interval '1 h', 10
       from generate_series(:ended + 1, :all)""",
    """insert into mailing_counters (mailing_id, slot, sent, due_at)
       select n, slot, 10, case when n > :ended then now() + interval '1 h' * case when n <= :due then -1 else 1 end end
       from generate_series(1, :all) n cross join generate_series(1, 3) slot where n > :ended or slot = 1""",
    "insert into mailing_standings (mailing_id, proven_at) select n, now() from generate_series(:ended + 1, :all) n",
)

_IDS = list(range(ENDED + 1, ENDED + SOME + 1))
VALUES: dict[str, Any] = {
    "root": 1,
    "routing": 1,
    "number": 5,
    "first_id": 1,
    "last_id": 5,
    "providers": "{}",
    "mailing_ids": _IDS,
    "mailing_id": ENDED + 1,
    "id": ENDED + 1,
    "part": 1,
    "numbers": [1] * SOME,
    "words": ["no"] * SOME,
    "first": 2.0,
    "longest": 300.0,
    "most": 50,
    "limit": SOME,
    "last": 0,
    "within": 60,
    "after": 0,
    "slots": [1] * SOME,
    "hints": [None] * SOME,
    "names": ["dispatch"],
    "rates": [20.0],
    "wanted": 5,
    "soon": timedelta(seconds=0.25),
    "dispatcher": "one",
    "pace": 1.0,
    "alive": timedelta(seconds=10),
    "age": timedelta(days=1),
    "ids": _IDS,
    "audience_limits": [10] * SOME,
    "cursors": [10] * SOME,
    "counts": [1] * SOME,
    "parts": [1] * SOME,
    "first_ids": _IDS,
    "last_ids": _IDS,
    "are_complete": [True] * SOME,
    "all_open": False,
    "since": datetime(2030, 1, 1, tzinfo=UTC),
    "until": datetime(2030, 1, 2, tzinfo=UTC),
    "window_from": time(9),
    "window_until": time(21),
}
"""What is bound, by its name in any of the statements. A new name needs a value here."""

OTHERWISE: dict[str, dict[str, Any]] = {
    "shared.standing._HALT": {"words": "no"},
    "shared.messages.probe._MAILINGS": {"hints": 1_000},
    "dispatcher_service.leading.chores.show_figures._COUNT": {"limit": 10 * SOME},
}

_ELSEWHERE = re.compile(r"\b(from|join|update|into) messages\b")  # tests/integration/messages/test_plans.py
_NAMES = re.compile(r"\b(from|join|update|into) (mailing\w*|limits|dispatcher_paces|provider_returns)\b")


def _statements() -> Iterator[Any]:
    """All that name mailings or what is agreed about sending, and no messages."""
    ours = tuple(package.__name__ for package in (leading, messages, rates, standing, fold, moments))
    for module in modules():
        for name, statement in vars(module).items():
            if module.__name__.startswith(ours) and isinstance(statement, TextClause):
                said = statement.text
                if _NAMES.search(said) and not _ELSEWHERE.search(said):
                    yield pytest.param(f"{module.__name__}.{name}", statement, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize(("name", "statement"), list(_statements()))
def test_a_statement_reads_the_mailings_that_it_is_about(many: Engine, name: str, statement: TextClause) -> None:
    values = VALUES | OTHERWISE.get(name, {})
    used = statement.compile().params
    missing = used.keys() - values.keys()
    assert not missing, f"a value for {missing} is to be given in VALUES, so that {name} can be looked at"
    with many.connect() as connection:
        plan, said = explain(connection, statement, {one: values[one] for one in used})
        connection.rollback()
    ways = {way for relation, way in touched(plan) if relation in LARGE}
    assert "Seq Scan" not in ways, said
    assert pages(plan) <= MOST, said


def test_a_probe_is_found_among_a_few_however_many_are_due(many: Engine) -> None:
    """In an outage that is all, and each dispatcher asks every few seconds."""
    with many.connect() as connection:
        connection.exec_driver_sql(
            "update mailing_counters set due_at = now() - interval '1 h' where due_at is not null"
        )
        values = {"limit": probe.MAILINGS, "last": ENDED + 1, "hints": probe.HINTS}
        plan, said = explain(connection, probe._MAILINGS, values)
        connection.rollback()
    assert plan["Actual Rows"] == probe.MAILINGS
    assert pages(plan) <= 10 * probe.HINTS, said
