"""After a change of where messages go, the leader gives lanes to what is open, however long it is kept from it."""

from contextlib import closing

import psycopg2
import pytest
from prometheus_client import REGISTRY

from dispatcher_service.leading.chores import reroute_messages
from shared import lanes
from shared.domain.lanes import FIRST_PROVIDER as EAST
from shared.domain.lanes import Entry
from tests.support.books import Books
from tests.support.leading import Start
from tests.support.waiting import wait_until

LAUNCHES = 0.3  # seconds, in the place of 30


def test_a_mailing_that_is_locked_for_long_is_routed_when_it_is_not(
    books: Books, books_url: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reroute_messages, "_LAUNCHES", LAUNCHES)
    monkeypatch.setattr(reroute_messages.RerouteMessages, "pause", LAUNCHES / 3)
    with books.engine.begin() as connection:
        lanes.register(connection, [Entry("east")])
    mailing_id, _ = books.launched(3)
    with books.engine.begin() as connection:
        lanes.register(connection, [Entry("east", operator_codes=("900",)), Entry("west")])
    failed = _failures()
    with closing(psycopg2.connect(books_url)) as forgotten, forgotten.cursor() as cursor:
        cursor.execute("select from mailings where id = %s for update", [mailing_id])
        start()
        wait_until(lambda: _failures() >= failed + 4)  # the pauses between them take longer than LAUNCHES
    wait_until(lambda: _lanes(books) == {EAST})


def test_a_mailing_in_whose_launch_ids_were_set_ahead_is_routed_as_any(
    books: Books, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore: between two of its messages lie more ids than anybody walks through."""
    monkeypatch.setattr(reroute_messages.RerouteMessages, "pause", LAUNCHES / 3)
    with books.engine.begin() as connection:
        lanes.register(connection, [Entry("east")])
    _, ids = books.launched(4)
    books.run("update messages set id = id + 1000000000000000 where id > :last", last=ids[1])
    books.run("update mailings set last_message_id = :last", last=ids[3] + 10**15)
    with books.engine.begin() as connection:
        lanes.register(connection, [Entry("east", operator_codes=("900",)), Entry("west")])
    start()
    wait_until(lambda: _lanes(books) == {EAST})


def _failures() -> float:
    labels = {"chore": "reroute_messages", "reason": "locked"}
    return REGISTRY.get_sample_value("feeder_act_failures_total", labels) or 0.0


def _lanes(books: Books) -> set[int]:
    return {row.lane for row in books.run("select distinct lane from messages")}
