"""Which import took which client: kept with each batch, asked for by mailings, and removed after its time."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from api_service.directory import batch
from dispatcher_service.leading.chores.chore import Step
from dispatcher_service.leading.chores.remove_old import RemoveOld
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.session import own_connection
from shared.broker.table import TableBroker
from shared.domain.retention import Retention
from shared.ledger.slot import Slot
from shared.messages import create_statement
from tests.support.api import EVERYONE, Api, mailing, running
from tests.support.books import Books
from tests.support.leading import LADDER
from tests.support.plans import explain, pages, touched


@pytest.fixture
def api(books: Books) -> Api:
    return Api(books.engine)


def take(api: Api, *lines: dict[str, Any]) -> int:
    """The id of an import of these."""
    data = "\n" + "".join(f"{json.dumps(line)}\n" for line in lines)  # an empty body is no file
    answer = api("POST", "/clients/import/", data=data, content_type="application/x-ndjson")
    assert answer.status == 200, answer.body
    return int(answer.json["id"])


def client(number: int, **values: Any) -> dict[str, Any]:
    return {"phone": f"7912{number:07}", **values}


def reached(api: Api, books: Books, **chosen: Any) -> set[int]:
    """The numbers of the clients who get a message of a mailing with this filter."""
    mailing_id = api.make("/mailings/", running(filter=chosen))["id"]
    books.launch(mailing_id, 3)
    rows = books.run("select phone from messages where mailing_id = :id", id=mailing_id)
    assert len(rows) == len({row.phone for row in rows})
    return {row.phone - 79120000000 for row in rows}


def test_a_mailing_goes_to_whom_an_import_took(api: Api, books: Books) -> None:
    """Also where it changed nothing of them, and once, however often they are in it; to nobody whose line it
    refused."""
    api.make("/clients/", client(0))
    first = take(api, client(1, tag="vip"), client(2), client(1), client(3, timezone="Mars"))
    same = take(api, client(2))
    both = take(api, client(2), client(4, tag="vip"))
    nobody = take(api)
    assert reached(api, books, imports=[first]) == {1, 2}
    assert reached(api, books, imports=[same]) == {2}
    assert reached(api, books, imports=[both]) == {2, 4}
    assert reached(api, books, imports=[first, both, nobody]) == {1, 2, 4}
    assert reached(api, books, imports=[first, both], tags=["vip"]) == {1, 4}
    assert reached(api, books, imports=[nobody]) == set()
    assert reached(api, books) == {0, 1, 2, 4}


def test_who_is_deleted_is_in_no_import_when_they_come_back(api: Api, books: Books) -> None:
    first = take(api, client(1), client(2))
    [gone] = api.get("/clients/?phone=79120000001")
    assert api("DELETE", f"/clients/{gone['id']}/").status == 204
    second = take(api, client(1))
    assert reached(api, books, imports=[first]) == {2}
    assert reached(api, books, imports=[second]) == {1}


def test_who_has_another_phone_by_now_is_in_the_import_that_took_them(api: Api, books: Books) -> None:
    first = take(api, client(1))
    [one] = api.get("/clients/")
    api("PATCH", f"/clients/{one['id']}/", client(7))
    assert reached(api, books, imports=[first]) == {7}
    take(api, client(1))
    assert reached(api, books, imports=[first]) == {7}


ANY_FILES = st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=1, max_size=4)


@settings(max_examples=15)
@given(files=ANY_FILES, chosen=st.sets(st.integers(0, 3), min_size=1), at_once=st.integers(1, 9))
def test_any_files_in_batches_of_any_size(
    books_engine: Engine, files: list[list[int]], chosen: set[int], at_once: int
) -> None:
    """Over the borders of chunks, with holes in the ids."""
    books = Books(books_engine)
    books.empty()
    books.run(f"alter table clients alter column id restart with {2**15 - 9}")
    api = Api(books_engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "LINES", at_once)
        ids = [take(api, *map(client, numbers)) for numbers in files]
    named = [number for number in chosen if number < len(files)] or [0]
    books.run("delete from clients where id % 7 = 0")
    there = {row.phone - 79120000000 for row in books.run("select phone from clients")}
    wanted = {one for number in named for one in files[number]} & there
    assert reached(api, books, imports=[ids[number] for number in named]) == wanted
    rows = books.run("select import_id, sum(cardinality(clients)) as taken from import_clients group by 1")
    batches = [[set(each[i : i + at_once]) for i in range(0, len(each), at_once)] for each in files]
    assert {row.import_id: row.taken for row in rows} == {
        import_id: sum(map(len, each)) for import_id, each in zip(ids, batches, strict=True) if each
    }


# ---------------------------------------------------------------- the filter


@pytest.mark.parametrize(
    "imports", [None, 1, "1", ["1"], [1.5], [True], [0], [-1], [2**63], [None], [[1]], [1] * 101, [7], [1, 7]]
)
def test_an_import_that_cannot_be_named(api: Api, books: Books, imports: Any) -> None:
    assert take(api, client(1)) == 1
    path = f"/mailings/{api.make('/mailings/', mailing(filter={'imports': [1]}))['id']}/"
    for method, where in (("POST", "/mailings/"), ("PUT", path), ("PATCH", path)):
        answer = api(method, where, mailing(filter={"imports": imports}))
        assert (answer.status, answer.at_fault) == (422, {"filter"}), answer.body
    assert api.get(path)["filter"]["imports"] == [1]
    assert books.run("select count(*) as number from mailings")[0].number == 1


def test_it_is_shown_as_the_set_that_it_is_and_frozen_as_all_of_the_filter(api: Api, books: Books) -> None:
    one, two = take(api, client(1)), take(api, client(2))
    made = api.make("/mailings/", running(filter={"imports": [two, one, two]}))
    path = f"/mailings/{made['id']}/"
    assert made["filter"] == EVERYONE | {"imports": [one, two]}
    books.launch(made["id"])
    books.run("delete from imports where id = :id", id=two)
    assert api("PUT", path, api.get(path)).status == 200  # nothing has changed, whether or not it is there
    changed = api("PATCH", path, {"filter": {"imports": [one]}})
    assert (changed.status, changed.at_fault) == (409, {"filter"})
    made_so = api.execute("select after -> 'filter' from audit where thing = 'mailing' order by id desc limit 1")
    assert made_so["imports"] == [one, two]


# ---------------------------------------------------------------- its end


@pytest.fixture
def remove(books: Books, books_url: str) -> Iterator[Any]:
    """What the keeper does once an hour."""
    with own_connection(books.engine) as connection:
        step = Step(Isolation(connection, Slot("keeper")), ())
        yield lambda: RemoveOld(TableBroker(books_url, LADDER), Retention(90)).run(step)


def test_what_an_import_leaves_goes_with_it(api: Api, books: Books, remove: Any) -> None:
    old, young = take(api, client(1), client(2), {"phone": "8"}), take(api, client(2), {"phone": "8"})
    books.run("update imports set ended_at = now() - interval '90 days' where id = :id", id=old)
    remove()
    assert [one["id"] for one in api.get("/clients/imports/")] == [young]
    assert [row.import_id for row in books.run("select import_id from import_clients")] == [young]
    answer = api("POST", "/mailings/", mailing(filter={"imports": [old]}))
    assert (answer.status, "90 days" in answer.json["errors"]["json"]["filter"]["imports"][0]) == (422, True)
    assert len(api.get("/clients/")) == 2


def test_refused_lines_go_after_a_week(api: Api, books: Books, remove: Any) -> None:
    old, young = take(api, {"phone": "8"}), take(api, {"phone": "8"})
    books.run("update refused_lines set made_at = now() - interval '7 days' where import_id = :id", id=old)
    remove()
    path = "/clients/imports/{}/refused/"
    assert [api("GET", path.format(one)).status for one in (old, young)] == [404, 200]
    assert api.get(f"/clients/imports/{old}/")["refused"] == 1


@pytest.mark.parametrize(
    ("fate", "stays"),
    [("starts_at = now() + interval '1 year', ends_at = now() + interval '2 years'", True),
     ("paused_at = now()", True), ("cancelled_at = now()", False), ("launched_at = now()", False),
     ("finished_at = now()", False)],
)  # fmt: skip
def test_an_import_stays_as_long_as_a_mailing_will_ask_for_it(
    api: Api, books: Books, remove: Any, fate: str, stays: bool
) -> None:
    named, other = take(api, client(1)), take(api, client(2))
    api.make("/mailings/", mailing(filter={"imports": [named]}))
    books.run("update imports set ended_at = now() - interval '1 year'")
    books.run(f"update mailings set {fate}")
    remove()
    assert [one["id"] for one in api.get("/clients/imports/")] == ([named] if stays else [])
    assert len(books.run("select from import_clients")) == stays
    assert other not in [row.import_id for row in books.run("select import_id from import_clients")]


@pytest.mark.parametrize("wanted", [{"imports": [1]}, {"exclude": {"imports": [1]}}])
def test_an_import_stays_as_long_as_a_segment_names_it(api: Api, books: Books, remove: Any, wanted: Any) -> None:
    """And a mailing that goes by the segment as it was, when the segment names it no more."""
    named = take(api, client(1))
    segment = api.make("/segments/", {"name": "some", "filter": wanted})
    books.run("update imports set ended_at = now() - interval '1 year'")
    remove()
    made = api.make("/mailings/", running(filter={"segments": [segment["id"]]}))
    assert api("PATCH", f"/segments/{segment['id']}/", {"filter": {}}).status == 200
    remove()
    assert [one["id"] for one in api.get("/clients/imports/")] == [named]
    assert books.launch(made["id"])
    remove()
    assert api.get("/clients/imports/") == []
    assert len(books.run("select from messages")) == ("exclude" not in wanted)


def test_an_import_that_is_named_at_this_moment_is_not_removed(api: Api, books: Books, remove: Any) -> None:
    """Whoever makes the mailing holds it, and the keeper passes it over; and the other way round it is gone."""
    import_id = take(api, client(1))
    books.run("update imports set ended_at = now() - interval '1 year'")
    with books.engine.begin() as connection:
        connection.execute(text("select from imports for key share"))
        remove()
    assert api.get(f"/clients/imports/{import_id}/")["id"] == import_id
    with ThreadPoolExecutor(1) as pool:
        with books.engine.begin() as connection:
            connection.execute(text("delete from imports"))
            made = pool.submit(api, "POST", "/mailings/", mailing(filter={"imports": [import_id]}))
            waiting = "select count(*) as number from pg_stat_activity where wait_event_type = 'Lock'"
            while not books.run(waiting)[0].number:
                assert not made.done()
        assert made.result(30).status == 422


# ---------------------------------------------------------------- what it costs


MANY = 150_000


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_a_slice_reads_what_the_imports_have_of_its_clients_and_those(books: Books, is_analyzed: bool) -> None:
    """A few of many clients, taken by one of many imports: their chunks, and their rows by the key."""
    for table in ("clients", "import_clients"):
        books.run(f"alter table {table} set (autovacuum_enabled = off)")
    books.clients(MANY)
    books.run("""
        insert into import_clients (import_id, chunk, clients)
        select i, c, array(select (n * 100 + i % 100)::smallint from generate_series(0, 326) n)
        from generate_series(1, 300) i, generate_series(0, 4) c
    """)
    if is_analyzed:
        books.run("analyze clients, import_clients")
    job = {"part": 1, "id": books.mailing(), "state": "pending", "zones": [], "openings": [], "lane": 0}
    job |= {"imports_1": [7], "took_2": [7], "audience_cursor": 0, "audience_limit": MANY}
    values = {"span": 50_000, "reason": "opted_out", "jobs": json.dumps([job])}
    with books.engine.begin() as connection:
        plan, said = explain(connection, create_statement._CREATE_OF_IMPORTS, values)
        made = connection.scalar(text("select count(*) from messages"))
        connection.rollback()
    assert made == 500
    ways = {relation: way for relation, way in touched(plan) if relation != "messages"}
    assert ways.keys() == {"clients", "import_clients"}
    assert set(ways.values()) <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, said
    # Each of the 500 has a page of the table and three of the index; a message writes about as many.
    assert pages(plan) < 500 * 20, said
