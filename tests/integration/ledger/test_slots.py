"""The slots of the ledger: as many as there are processes, and nobody waits for one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from shared.database.engine import make_engine
from shared.ledger import slot as slots
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from tests.support.books import Books


@pytest.fixture
def books(books: Books) -> Books:
    books.run("truncate ledger_slots")
    return books


def number(engine: Engine, slot: Slot) -> int:
    with engine.begin() as connection:
        return slot.number(connection)


def test_each_has_the_lowest_that_is_free(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "RENEW_EVERY", 0.0)
    first, second, third = Slot("a"), Slot("b"), Slot("c")
    assert [number(books.engine, slot) for slot in (first, second, third)] == [0, 1, 2]
    books.run("update ledger_slots set until = now() where slot = 1")
    assert number(books.engine, first) == 0
    assert number(books.engine, Slot("d")) == 1, "that of one who is gone"
    assert number(books.engine, second) == 3, "they were only slow"
    assert number(books.engine, third) == 2


def test_a_lease_is_renewed_in_passing(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "RENEW_EVERY", 0.0)
    slot = Slot("a")
    number(books.engine, slot)
    books.run("update ledger_slots set until = now() + interval '1 s'")
    assert number(books.engine, slot) == 0
    assert books.run("select until > now() + interval '50 s' from ledger_slots") == [(True,)]


def test_one_that_somebody_holds_is_left(books: Books) -> None:
    first, second = Slot("a"), Slot("b")
    assert (number(books.engine, first), number(books.engine, second)) == (0, 1)
    first.leave()
    assert number(books.engine, first) == 2
    assert number(books.engine, first) == 2


def test_a_lease_that_was_rolled_back_does_no_harm(books: Books) -> None:
    first, second = Slot("a"), Slot("b")
    with books.engine.connect() as connection:
        assert first.number(connection) == 0
        connection.rollback()
    assert number(books.engine, second) == 0
    mailing_id, _ = books.launched(2)
    for slot in (first, second):
        with books.engine.begin() as connection, open_entries(connection, slot) as entries:
            entries.look(mailing_id)
    assert books.run("select mailing_id from mailing_counters where slot = 0") == [(mailing_id,)]


def test_many_at_once_get_one_each(books: Books, books_url: str) -> None:
    engine = make_engine(books_url, "slots", pool_size=8)
    many = [Slot(str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):  # whoever was too slow to get one of their own shares one until they write again
            list(pool.map(lambda slot: number(engine, slot), many))
    engine.dispose()
    assert sorted(number(books.engine, slot) for slot in many) == list(range(8))
    assert books.run("select count(*) from ledger_slots") == [(8,)]


def test_who_only_reads_needs_none(books: Books) -> None:
    with books.engine.begin() as connection, open_entries(connection, Slot("a")):
        pass
    assert books.run("select count(*) from ledger_slots") == [(0,)]
