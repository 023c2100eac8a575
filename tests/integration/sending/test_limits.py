"""Limits over all dispatchers: the wire is reserved shortly before it is used, and in short pieces."""

import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from dispatcher_service.pipeline.allowance import Allowance
from dispatcher_service.pipeline.permits import SHORT_FOR, Permits
from shared.clock import ticks
from shared.database.engine import make_engine, one_statement
from shared.rates.limits import SOON, Reserved, reserve
from tests.support.books import Books


def take(books: Books, wanted: int, limits: Mapping[str, float] | None = None) -> Reserved:
    with one_statement(books.engine) as connection:
        return reserve(connection, limits or {"a": 20.0}, wanted)


def left(books: Books, name: str = "a") -> float:
    """Seconds until the wire is free."""
    return float(
        books.run("select extract(epoch from next_at - now()) from limits where name = :name", name=name)[0][0]
    )


def test_a_quarter_of_a_second_is_reserved_at_a_time(books: Books) -> None:
    first, second = take(books, 100), take(books, 100)
    assert (first.messages, second.messages) == (5, 5)
    assert first.wait == 0
    assert second.wait == pytest.approx(0.25, abs=0.1)
    assert first.gap == 0.05
    assert left(books) == pytest.approx(0.5, abs=0.1)


def test_who_wants_nothing_any_more_is_not_short(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its lane would be fed as little as in the last rush for as long as it rests."""
    permits = Permits(books.engine, {"east": {"a": 20.0}, "west": {"b": 20.0}})
    assert permits.allowed({"east": 100}, 100) == [(["east"], 5)]
    permits.allowed({"west": 1}, 1)
    assert permits.is_short("east")
    assert not permits.is_short("west")
    monkeypatch.setattr("dispatcher_service.pipeline.permits.ticks", lambda: ticks() + SHORT_FOR)
    assert not permits.is_short("east")


def test_no_more_than_is_wanted(books: Books) -> None:
    assert take(books, 2).messages == 2
    assert left(books) == pytest.approx(0.1, abs=0.05)


def test_what_is_taken_is_not_waited_for(books: Books) -> None:
    """It is said when to ask again."""
    take(books, 5)
    take(books, 5)
    found = take(books, 5)
    assert found.messages == 0
    assert found.wait == pytest.approx(0.5 - SOON.total_seconds(), abs=0.1)
    assert left(books) == pytest.approx(0.5, abs=0.1), "asking moves nothing"


def test_at_a_low_rate_it_is_one_message(books: Books) -> None:
    assert take(books, 5, {"a": 0.1}).messages == 1
    found = take(books, 5, {"a": 0.1})
    assert found.messages == 0
    assert found.wait == pytest.approx(9.75, abs=0.1)


def test_what_nobody_used_is_not_made_up_for(books: Books) -> None:
    take(books, 5)
    books.run("update limits set next_at = now() - interval '1 h'")
    assert take(books, 100).messages == 5
    assert left(books) == pytest.approx(0.25, abs=0.1)


def test_of_several_limits_the_least_decides(books: Books) -> None:
    limits = {"b": 100.0, "a": 20.0}
    first = take(books, 100, limits)
    assert (first.messages, first.gap) == (5, 0.05)
    assert left(books, "a") == pytest.approx(0.25, abs=0.05)
    assert left(books, "b") == pytest.approx(0.05, abs=0.05)
    assert take(books, 100, {"b": 100.0}).messages == 25, "the other one has room"
    take(books, 100, limits)
    assert take(books, 100, limits).messages == 0


def test_a_clock_that_went_back_stops_nobody(books: Books) -> None:
    """Nor does a rate that was much lower a moment ago."""
    take(books, 5)
    books.run("update limits set next_at = now() + interval '40 s'")
    assert take(books, 5).messages == 5
    assert left(books) == pytest.approx(0.25, abs=0.1)


def test_the_disk_is_not_waited_for_and_the_session_stays_as_it_was(books: Books) -> None:
    with one_statement(books.engine) as connection:
        reserve(connection, {"a": 20.0}, 1)
        before = connection.exec_driver_sql("select pg_current_wal_insert_lsn()").scalar()
        reserve(connection, {"a": 20.0}, 1)
        assert connection.exec_driver_sql(f"select pg_current_wal_flush_lsn() <= '{before}'").scalar()
        assert connection.exec_driver_sql("show synchronous_commit").scalar() == "on"


@pytest.mark.parametrize("dispatchers", [1, 10, 50])
@pytest.mark.parametrize("stale", [0.0, 0.5])
def test_any_number_of_dispatchers_keeps_the_rate(books: Books, dispatchers: int, stale: float) -> None:
    """Also when a part of what they claim is not to be sent. Nothing waits for the wire longer than half a second."""
    rate, seconds = 100.0, 4.0
    engine = make_engine(books.engine.url.render_as_string(hide_password=False), "takers", pool_size=dispatchers)
    sent: list[float] = []
    waits: list[float] = []
    began = ticks() + 0.5
    barrier = threading.Barrier(dispatchers)

    def dispatch(number: int) -> None:
        chance = random.Random(number)
        allowance = Allowance(chance.random)
        barrier.wait()
        while (now := ticks()) < began + seconds:
            if allowance.asks(now):
                with one_statement(engine) as connection:
                    reserved = reserve(connection, {"a": rate}, 1_000)
                allowance.got(*reserved, ticks())
            if allowed := allowance.left(ticks()):
                moments = allowance.use(sum(chance.random() >= stale for _ in range(allowed)))
                claimed = ticks()
                sent.extend(max(moment, claimed) for moment in moments)
                waits.extend(moment - claimed for moment in moments)
            sleep(0.005 if allowance.left(ticks()) else 0.03)

    with ThreadPoolExecutor(dispatchers) as pool:
        list(pool.map(dispatch, range(dispatchers)))
    engine.dispose()
    within = [moment for moment in sent if began <= moment < began + seconds]
    assert len(within) / seconds == pytest.approx(rate, rel=0.05)
    assert max(waits) <= 0.55
