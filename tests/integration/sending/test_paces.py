"""What dispatchers say of their pace, and what the leader reads."""

import pytest
from sqlalchemy import Engine

from shared.rates import paces as module
from shared.rates.paces import PaceNote, paces
from tests.support.books import Books


def write(engine: Engine, note: PaceNote, pace: float) -> None:
    with engine.begin() as connection:
        note.write(connection, pace)


def read(engine: Engine) -> list[float]:
    with engine.begin() as connection:
        return sorted(paces(connection))


def test_every_dispatcher_has_one_row_of_its_own(books: Books) -> None:
    first, second = PaceNote(), PaceNote()
    write(books.engine, first, 0.0)
    write(books.engine, second, 120.0)
    write(books.engine, first, 60.5)
    assert read(books.engine) == [60.5, 120.0]


def test_one_that_is_gone_does_not_count(books: Books) -> None:
    first, second, third = PaceNote(), PaceNote(), PaceNote()
    for note in (first, second, third):
        write(books.engine, note, 10.0)
    books.run("update dispatcher_paces set noted_at = now() - interval '11 s' where dispatcher = :name",
              name=first._dispatcher)  # fmt: skip
    with books.engine.begin() as connection:
        second.leave(connection)
    assert read(books.engine) == [10.0]


def test_those_long_gone_are_forgotten(books: Books) -> None:
    write(books.engine, PaceNote(), 10.0)
    books.run("update dispatcher_paces set noted_at = now() - interval '2 d'")
    write(books.engine, PaceNote(), 20.0)
    assert books.run("select count(*) from dispatcher_paces") == [(1,)]


def test_it_is_noted_once_a_second_and_seldom_at_rest(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "ticks", lambda: now)
    note = PaceNote()
    assert note.is_due
    moments = []
    for _ in range(160):
        if note.is_due:
            write(books.engine, note, 5.0 if now < 105 else 0.0)
            moments.append(now - 100)
        now += 0.125  # to the digit
    assert moments == [0, 1, 2, 3, 4, 5, 6, 10, 14, 18]
