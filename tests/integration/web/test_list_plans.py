"""What a page of a filtered list reads: about what it shows, however few match and however many there are.

Before anybody has analysed anything, and afterwards.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from tests.support.api import Api
from tests.support.plans import explain, pages
from tests.support.superuser import superuser

MANY = 100_000
MOST = 200
"""Pages that a page of ten may touch; the smallest of the tables has a thousand."""

CLIENTS = f"""
    insert into clients (phone, operator_code, tag, timezone)
    select 79000000000 + n, case when n % 50000 = 7 then '999' else '900' end,
        case when n % 50000 = 7 then 'rare' when n % 3 = 0 then 'often' else '' end,
        case when n % 50000 = 7 then 'Asia/Omsk' else 'UTC' end
    from generate_series(1, {MANY}) n
"""
AUDIT = f"""
    insert into audit (by, action, thing, thing_id)
    select case when n % 50000 = 7 then 'command' else 'anybody' end,
        case when n % 50000 = 7 then 'delete' else 'create' end,
        case when n % 50000 = 7 then 'key' else 'client' end, n::text
    from generate_series(1, {MANY}) n
"""
MAILINGS = f"""
    insert into mailings (name, name_key, text, starts_at, ends_at, finished_at, cancelled_at)
    select case when n % 25000 = 7 then 'Rare' else 'Often' end, case when n % 25000 = 7 then 'rare' else 'often' end,
        repeat('x', 100), now() - interval '2 h', now() - interval '1 h', case when n % 25000 <> 7 then now() end,
        case when n % 25000 = 7 then now() end
    from generate_series(1, {MANY // 2}) n
"""
SEGMENTS = f"""
    insert into segments (name, filter)
    select case when n % 50000 = 7 then 'rare' else 'often' end, '{{}}' from generate_series(1, {MANY}) n
"""


@pytest.fixture(scope="module")
def full(books_engine: Engine) -> Engine:
    with superuser(books_engine) as connection:
        for table, fill in (("clients", CLIENTS), ("audit", AUDIT), ("mailings", MAILINGS), ("segments", SEGMENTS)):
            connection.execute(text(f"alter table {table} set (autovacuum_enabled = off)"))
            connection.execute(text(fill))
    return books_engine


@pytest.fixture(scope="module")
def analysed(full: Engine) -> Engine:
    with superuser(full) as connection:
        connection.execute(text("analyze clients, audit, mailings, segments"))
    return full


QUERIES = {
    "/clients/?after_id=0": 10,
    f"/clients/?after_id={MANY - 10}": 10,
    "/clients/?tag=rare&after_id=0": 2,
    "/clients/?tag=often&after_id=50000": 10,
    "/clients/?tag=nobody&after_id=0": 0,
    "/clients/?operator_code=999&after_id=0": 2,
    "/clients/?operator_code=123&after_id=0": 0,
    "/clients/?timezone=Asia/Omsk&after_id=0": 2,
    "/clients/?timezone=Asia/Tokyo&after_id=0": 0,
    "/clients/?phone=79000000042&after_id=0": 1,
    "/clients/?phone=79000000042": 1,
    "/clients/?reference=mine": 0,
    "/audit/": 10,
    "/audit/?by=command": 2,
    "/audit/?by=nobody": 0,
    "/audit/?action=delete": 2,
    "/audit/?action=revoke": 0,
    "/audit/?thing=key": 2,
    "/audit/?thing=client&after_id=50000": 10,
    "/audit/?thing=client&thing_id=42": 1,
    "/audit/?thing=mailing&thing_id=42": 0,
    "/segments/?name=rare&after_id=0": 2,
    "/segments/?name=nobody": 0,
    "/mailings/?state=cancelled&after_id=0": 2,
    "/mailings/?state=running&after_id=0": 0,
    "/mailings/?reference=mine": 0,
    "/mailings/?name=RARE&after_id=0": 2,
    "/mailings/?name=nobody": 0,
    "/mailings/?state=draft": 0,
    "/mailings/?retry_of=7": 0,
}
KNOWN = {
    "/clients/?tag=rare&operator_code=900&after_id=0": 0,
    "/audit/?by=anybody&action=delete": 0,
    "/mailings/?state=finished&after_id=40000": 10,
}
"""Where several indexes would do, the planner has to know something to choose."""


@pytest.fixture
def read(full: Engine) -> Iterator[list[tuple[int, str]]]:
    """What each query has read, in pages, and its plan."""
    plans: list[tuple[int, str]] = []

    def look(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.lower().startswith("select"):
            return
        plan, said = explain(connection, statement, values)
        plans.append((pages(plan), f"{statement}\n{said}"))

    event.listen(full, "before_cursor_execute", look)
    yield plans
    event.remove(full, "before_cursor_execute", look)


@pytest.mark.parametrize("query", QUERIES)
def test_nothing_is_known_about_the_tables(full: Engine, read: list[tuple[int, str]], query: str) -> None:
    assert len(Api(full).get(query)) == QUERIES[query]
    blocks, plan = max(read)
    assert blocks <= MOST, plan


@pytest.mark.parametrize("query", QUERIES | KNOWN)
def test_the_tables_are_known(analysed: Engine, read: list[tuple[int, str]], query: str) -> None:
    assert len(Api(analysed).get(query)) == (QUERIES | KNOWN)[query]
    blocks, plan = max(read)
    assert blocks <= MOST, plan
