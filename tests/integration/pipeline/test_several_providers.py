"""A dispatcher with several providers: by weight, past those that are down, and back to those that may have it."""

import time
from collections.abc import Sequence

import pytest

from dispatcher_service.sending.dialect import Dialect
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared import lanes
from shared.domain.lanes import Entry
from shared.domain.profile.provider import Routing
from tests.support.books import Books
from tests.support.dialects import seed_dialect
from tests.support.dispatching import TOKEN, Dispatcher, settled
from tests.support.provider import StartSimulator
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.provider",)

EAST, WEST = "east", "west"
SLOW = 1.0  # seconds for one call at the most


@pytest.fixture
def east(start_simulator: StartSimulator) -> Simulator:
    return start_simulator("--token", TOKEN)


@pytest.fixture
def west(start_simulator: StartSimulator) -> Simulator:
    return start_simulator("--token", TOKEN)


USUAL = Routing()


def both(
    east: Simulator, west: Simulator, *, of_east: Routing = USUAL, of_west: Routing = USUAL, rate: float = 0.0
) -> Sequence[Dialect]:
    return (
        seed_dialect(east.url, TOKEN, name=EAST, timeout=SLOW, routing=of_east),
        seed_dialect(west.url, TOKEN, name=WEST, timeout=SLOW, routing=of_west, rate=rate),
    )


def taken(simulator: Simulator) -> int:
    return simulator.summary().accepted


def test_each_gets_its_part_by_weight(books: Books, east: Simulator, west: Simulator, database_url: str) -> None:
    """Where each has room for it: who has none is passed by, a little at a time. So there is little at a time here,
    after so much that both may have as many calls in flight."""
    books.clients(20, tag="few")
    dialects = both(east, west, of_east=Routing(weight=4))
    with Dispatcher(database_url, east, feeds=True, dialects=dialects):
        wait_until(settled(books, books.launched(1_000)[0], sent=1_020))
        before = taken(east), taken(west)
        for _ in range(10):
            wait_until(settled(books, _to_few(books), sent=20))
    parts = taken(east) - before[0], taken(west) - before[1]
    assert sum(parts) == 200
    assert parts[0] == pytest.approx(160, abs=20)
    rows = books.run("select provider, count(*) as number from messages group by 1")
    assert {row.provider: row.number for row in rows} == {1: taken(east), 2: taken(west)}


def test_a_limit_of_all_is_shared_by_weight(books: Books, east: Simulator, west: Simulator, database_url: str) -> None:
    """And not by the room that they have: two that had as much got halves of what there was beyond the first calls."""
    mailing_id, _ = books.launched(1_000)
    dialects = both(east, west, of_east=Routing(weight=4))
    with Dispatcher(database_url, east, feeds=True, dialects=dialects, rate=200.0):
        wait_until(settled(books, mailing_id, sent=1_000))
    assert taken(east) == pytest.approx(800, abs=40)


def _to_few(books: Books) -> int:
    mailing_id = books.mailing(tags=["few"])
    books.launch(mailing_id)
    return mailing_id


def test_while_one_is_down_the_other_takes_all(
    books: Books, east: Simulator, west: Simulator, database_url: str
) -> None:
    """And what only it may take waits, costs no write, and goes when it is back."""
    west.outage(Mode.UNAVAILABLE)
    with books.engine.begin() as connection:
        lanes.register(connection, [Entry(EAST), Entry(WEST)])
    books.clients(200)
    only = books.mailing()
    books.run("update mailings set provider = 'west'")
    books.launch(only)
    with Dispatcher(database_url, east, feeds=True, dialects=both(east, west)):
        books.clients(500, tag="others")
        mailing_id = books.mailing(tags=["others"])
        books.launch(mailing_id)
        wait_until(lambda: books.states(mailing_id) == {"sent": 500})
        wait_until(lambda: books.run(
            "select from dispatcher_paces where providers -> 'west' ->> 'open' is not null"))  # fmt: skip
        before, calls = _writes(books, only), west.summary().requests
        time.sleep(3)
        assert sum(_writes(books, only).values()) - sum(before.values()) <= 4 * (west.summary().requests - calls) + 4
        west.end_outage()
        wait_until(lambda: books.states(only) == {"sent": 200})
    assert taken(west) == 200 + 500 - taken(east)


def _writes(books: Books, mailing_id: int) -> dict[int, int]:
    """The versions of its messages, by the transactions that wrote them."""
    rows = books.run(
        "select xmin::text::bigint as xmin, count(*) as number from messages where mailing_id = :id group by 1",
        id=mailing_id,
    )
    return {row.xmin: row.number for row in rows}


def test_what_may_have_been_taken_goes_nowhere_else(
    books: Books, east: Simulator, west: Simulator, database_url: str
) -> None:
    west.set_faults(Faults(rates={Fault.ACCEPT_RESET: 0.5}, max_faults_per_id=1))
    mailing_id, ids = books.launched(400)
    with Dispatcher(database_url, east, feeds=True, dialects=both(east, west)):
        wait_until(settled(books, mailing_id, sent=400))
    assert not east.accepted().keys() & west.accepted().keys()
    assert east.accepted().keys() | west.accepted().keys() == set(ids)
    assert west.summary().doubled > 0


def test_a_limit_of_one_leaves_the_rest_to_the_other(
    books: Books, east: Simulator, west: Simulator, database_url: str
) -> None:
    mailing_id, _ = books.launched(1000)
    since = time.monotonic()
    with Dispatcher(database_url, east, feeds=True, dialects=both(east, west, rate=20.0)):
        wait_until(settled(books, mailing_id, sent=1000))
        lasted = time.monotonic() - since
    assert 0 < taken(west) <= 20 * lasted + 20
    assert [row.name for row in books.run("select name from limits")] == ["provider:west"]


def test_a_pause_acts_within_a_second_and_ends(
    books: Books, east: Simulator, west: Simulator, database_url: str
) -> None:
    for simulator in (east, west):
        simulator.set_faults(Faults(latency_ms=100))
    mailing_id, _ = books.launched(3000)
    with Dispatcher(database_url, east, feeds=True, dialects=both(east, west), concurrency=20):
        wait_until(lambda: taken(west) > 10)
        books.run("update providers set paused_at = now() where name = 'west'")
        time.sleep(1.0 + 0.5)  # and what was being called has ended
        before = taken(west)
        wait_until(lambda: taken(east) > before + 500)
        assert taken(west) == before
        books.run("update providers set paused_at = null where name = 'west'")
        wait_until(lambda: taken(west) > before)
        wait_until(settled(books, mailing_id, sent=3000))


def test_clients_of_an_operator_go_to_the_one_that_names_its_code(
    books: Books, east: Simulator, west: Simulator, database_url: str
) -> None:
    dialects = both(east, west, of_west=Routing(("916",), 0))
    with Dispatcher(database_url, east, feeds=True, dialects=dialects):
        wait_until(lambda: books.run("select from providers where name = 'west'"))
        theirs = books.clients(50, operator_code="916")
        books.clients(50, operator_code="925")
        mailing_id = books.mailing()
        books.launch(mailing_id)
        wait_until(settled(books, mailing_id, sent=100))
    rows = books.run("select id from messages where client_id = any(:ids)", ids=theirs)
    assert west.accepted().keys() == {row.id for row in rows}
    assert taken(east) == 50
