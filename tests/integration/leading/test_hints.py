"""The hints that say which mailings are due: none is missing, whoever moves what at the same time."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, TextClause, event, text

from dispatcher_service.leading import walk
from dispatcher_service.leading.chores import show_figures
from dispatcher_service.leading.chores.close_ended import close_slice
from dispatcher_service.leading.walk import Mailing, due_mailings
from shared.database.engine import make_engine
from shared.domain.message import MessageState
from shared.domain.retry import HandBack, Retry
from shared.ledger import figures
from shared.ledger.figures import read_figures, read_totals
from shared.ledger.fold import FOLDED
from shared.ledger.totals import mend_totals, totals_difference
from shared.messages import hints, parts
from shared.messages.hints import RECHECK, mend_hints, settle_hints
from shared.messages.record import Verdict, record_verdicts
from shared.messages.retime import retime_messages
from tests.support.books import HOUR, LEASE, SENT, Books
from tests.support.plans import explain, pages
from tests.support.waiting import wait_until


@pytest.fixture
def settling(books: Books, books_url: str) -> Iterator[Engine]:
    """The connections of a leader."""
    engine = make_engine(books_url, "settling", pool_size=1)
    yield engine
    engine.dispose()


def settle(books: Books, *mailing_ids: int) -> list[int]:
    """What can be finished."""
    with books.engine.begin() as connection:
        return [mailing_id for mailing_id, _ in settle_hints(connection, mailing_ids)]


def hint(books: Books, mailing_id: int) -> timedelta | None:
    """How long until the mailing is looked at; less than nothing: it is now."""
    [(left,)] = books.run("select min(due_at) - now() from mailing_counters where mailing_id = :id", id=mailing_id)
    return left  # type: ignore[no-any-return]


def is_about(left: timedelta | None, expected: timedelta) -> bool:
    return left is not None and abs(left - expected) < timedelta(seconds=20)


def looked_at(books: Books) -> list[Mailing]:
    with books.engine.connect() as connection:
        return list(due_mailings(connection))


def forgotten(books: Books) -> list[int]:
    """Mailings with a message that is due before anybody looks."""
    rows = books.run("""
        select m.id from mailings m
        where (select min(due_at) from messages where mailing_id = m.id and status in ('pending', 'retrying'))
            < (select coalesce(min(due_at), 'infinity') from mailing_counters where mailing_id = m.id)
          and m.paused_at is null and m.finished_at is null
    """)
    return [row.id for row in rows]


# ---------------------------------------------------------------- who leaves them


def test_every_move_says_when_the_mailing_is_next_due(books: Books) -> None:
    mailing_id, ids = books.launched(4)
    assert is_about(hint(books, mailing_id), timedelta(0))
    books.record(Retry(HOUR), books.claim(mailing_id, ids[:1], lease=LEASE))
    settle(books, mailing_id)
    assert is_about(hint(books, mailing_id), timedelta(0)), "the others are due, whether or not they are on the broker"
    books.record(SENT, books.claim(mailing_id, ids[1:]))
    settle(books, mailing_id)
    assert is_about(hint(books, mailing_id), HOUR)
    assert looked_at(books) == []


def test_what_waits_for_its_window_is_left_alone_until_then(books: Books) -> None:
    [(start, end)] = books.run("""
        select (now() at time zone 'Europe/Moscow' + interval '2 h')::time::text,
               (now() at time zone 'Europe/Moscow' + interval '3 h')::time::text""")
    mailing_id, _ = books.launched(2, window=(start, end), ends=5 * HOUR)
    assert books.due(mailing_id) == []
    settle(books, mailing_id)
    assert is_about(hint(books, mailing_id), 2 * HOUR)
    books.run("update mailings set window_from = null, window_until = null, window_changed = true")
    assert [mailing.window_changed for mailing in looked_at(books)] == [True]
    assert books.move(retime_messages, mailing_id, 10).number == 2
    books.run("update mailings set window_changed = false")
    assert [mailing.due for mailing in looked_at(books)] == [True]


# ---------------------------------------------------------------- who takes them away


@pytest.mark.parametrize("slot", [1, 2], ids=["in the slot of the hint", "in another slot"])
@pytest.mark.parametrize("moment", ["for update skip locked", "is_complete", "update mailing_counters"])
def test_a_move_at_any_moment_of_a_look_is_not_forgotten(
    books: Books, settling: Engine, books_url: str, moment: str, slot: int
) -> None:
    """It commits before that statement of the look, or waits for the look's end."""
    mailing_id, ids = books.launched(2)
    handed_back = [Verdict(message, HandBack()) for message in books.claim(mailing_id, ids)]
    engine = make_engine(books_url, "mover", pool_size=1)
    mover = threading.Thread(target=lambda: Books(engine, slot).move(record_verdicts, handed_back, timedelta(0)))
    blocked = "select count(*) from pg_stat_activity where application_name = 'mover' and wait_event_type = 'Lock'"

    def interfere(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if moment in statement and not mover.ident:
            mover.start()
            wait_until(lambda: not mover.is_alive() or books.run(blocked)[0][0])

    event.listen(settling, "before_cursor_execute", interfere)
    with settling.begin() as connection:
        settle_hints(connection, [mailing_id])
    mover.join(10)
    assert not mover.is_alive()
    engine.dispose()
    assert books.states(mailing_id) == {"pending": 2}
    assert forgotten(books) == []
    assert [mailing.due for mailing in looked_at(books)] == [True]


def test_a_slot_that_somebody_writes_keeps_its_hint(books: Books, settling: Engine) -> None:
    mailing_id, _ = books.launched(1)
    with books.engine.begin() as connection:
        connection.execute(text("select from mailing_counters for update"))
        with settling.begin() as leader:
            assert settle_hints(leader, [mailing_id]) == []
    assert [mailing.id for mailing in looked_at(books)] == [mailing_id]


def test_a_paused_mailing_waits_for_whoever_resumes_it(books: Books) -> None:
    mailing_id, _ = books.launched(1)
    books.run("update mailings set paused_at = now()")
    settle(books, mailing_id)
    assert hint(books, mailing_id) is None
    assert looked_at(books) == []
    books.run("update mailings set paused_at = null")
    books.move(lambda _, entries: entries.look(mailing_id))
    assert [mailing.due for mailing in looked_at(books)] == [True]


@pytest.mark.parametrize("change", ["cancelled_at = now()", "ends_at = now()", "paused_at = now(), ends_at = now()"])
def test_what_has_ended_is_looked_at_until_it_is_closed_and_when_something_moves(books: Books, change: str) -> None:
    mailing_id, ids = books.launched(2)
    claimed = books.claim(mailing_id, ids[:1])
    settle(books, mailing_id)
    books.run(f"update mailings set {change}")
    for number in (1, 0):
        [mailing] = looked_at(books)
        assert mailing.is_to_close
        assert books.move(close_slice, mailing) == number
    [mailing] = looked_at(books)
    assert mailing.is_quiet
    assert settle(books, mailing_id) == []
    assert looked_at(books) == [], "one is on the wire, and nobody looks until it comes back"
    books.record(SENT, claimed)
    assert [mailing.id for mailing in looked_at(books)] == [mailing_id]
    assert settle(books, mailing_id) == [mailing_id]
    assert is_about(hint(books, mailing_id), RECHECK), "it is looked at again if nobody finishes it"
    assert books.finish([mailing_id]) == [mailing_id]
    assert hint(books, mailing_id) is None


def test_a_hint_that_was_lost_is_given_again(books: Books) -> None:
    mailings = [books.launched(1)[0] for _ in range(3)]
    books.run("update mailing_counters set due_at = null where mailing_id = :id", id=mailings[1])
    books.run("update mailing_counters set due_at = now() + interval '1 h' where mailing_id = :id", id=mailings[2])
    parts = [books.move(mend_hints, 0, 2), books.move(mend_hints, mailings[1], 2)]
    assert [(part.last, part.lost) for part in parts] == [(mailings[1], [mailings[1]]), (0, [mailings[2]])]
    assert [mailing.id for mailing in looked_at(books)] == mailings
    assert not books.move(mend_hints, 0, 10).lost


# ---------------------------------------------------------------- what is left in the end


@pytest.mark.parametrize("deleted", ["never", "before it was finished", "afterwards"])
def test_the_counters_of_a_finished_mailing_become_one_row(books: Books, other: Books, deleted: str) -> None:
    """That the totals are right, with and without it, is checked at the end of every test."""
    mailing_id, ids = books.launched(3)
    books.launched(5)
    books.record(SENT, books.claim(mailing_id, ids[:1]))
    other.record(SENT, other.claim(mailing_id, ids[1:]))
    with books.engine.connect() as connection:
        before = read_figures(connection, [mailing_id])[mailing_id]
        in_all = read_totals(connection)
    if deleted == "before it was finished":
        books.run("update mailings set deleted_at = now() where id = :id", id=mailing_id)
        books.check()
    assert books.finish([mailing_id]) == [mailing_id]
    assert books.finish([mailing_id]) == []
    if deleted == "afterwards":
        books.run("update mailings set deleted_at = now() where id = :id", id=mailing_id)
        books.move(lambda _, entries: entries.hidden(before))  # as the API does it
    assert books.run("select slot from mailing_counters where mailing_id = :id", id=mailing_id) == [(FOLDED,)]
    with books.engine.connect() as connection:
        assert read_figures(connection, [mailing_id])[mailing_id] == before
        hidden = 0 if deleted == "never" else 3
        assert read_totals(connection).audience == in_all.audience - hidden
        assert read_totals(connection).states[MessageState.SENT] == 3 - hidden


@pytest.mark.parametrize("change", [
    "update ledger_totals set pending = pending + 3, mailings = mailings - 1",
    "delete from ledger_totals",
    "insert into ledger_totals (slot, sent) values (-5, 7)",
])  # fmt: skip
def test_totals_that_somebody_has_changed_are_mended(books: Books, other: Books, change: str) -> None:
    """Also while messages move: what is on its way is counted once."""
    mailing_id, ids = books.launched(3)
    books.run(change)
    with books.engine.begin() as connection:
        difference = totals_difference(connection)
        other.record(SENT, other.claim(mailing_id, ids))
        mend_totals(connection, difference)
    books.check()
    with books.engine.begin() as connection:
        assert totals_difference(connection) == {}
        assert figures.count_mailings(connection) == 1


# ---------------------------------------------------------------- what it costs


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "never analysed"])
def test_nothing_that_is_asked_in_every_step_or_request_reads_the_mailings_that_wait(
    books: Books, analysed: bool
) -> None:
    books.run("alter table mailings set (autovacuum_enabled = off)")
    books.run("alter table mailing_counters set (autovacuum_enabled = off)")
    books.run("""insert into mailings (text, starts_at, ends_at, audience, launched_at)
                 select 'Sale', now() - interval '1 h', now() + interval '9 h', 1, now()
                 from generate_series(1, 10000)""")
    books.run("""insert into messages (part, mailing_id, client_id, status, due_at)
                 select 1, id, id, 'pending', now() + interval '8 h' from mailings""")
    books.place()
    books.run("""insert into mailing_counters (mailing_id, slot, pending, due_at)
                 select id, slot, (slot = 0)::int, case slot when 0 then now() + interval '1 h' end
                 from mailings, generate_series(0, 3) slot""")
    books.run("insert into tallies (mailing_id, quarter, slot, name, count) select 1, now(), 0, 'x', 0")
    books.run("insert into ledger_totals (slot, mailings, audience, pending) values (0, 10000, 10000, 10000)")
    if analysed:
        books.run("analyze")
    asked: list[tuple[Any, dict[str, Any]]] = [
        (walk.WALK, {}), (walk._NEXT_START, {}), (figures._TOTALS, {}), (figures._ALL, {}), (figures._MAILINGS, {}),
        (parts._OPEN, {}),
    ]  # fmt: skip
    with books.engine.connect() as connection:
        for statement, values in asked:
            assert pages_read(connection, statement, **values) < 40, statement.text
        # In turn, so many at a time.
        assert pages_read(connection, hints._UNFINISHED, after=5000, limit=10) < 40
        assert pages_read(connection, hints._LOST, part=1, mailing_ids=list(range(5001, 5011))) < 200
        assert pages_read(connection, show_figures._COUNT, after=5000, limit=100) < 200
    books.run("truncate mailings, messages, mailing_counters, ledger_totals, tallies")
    books.run("alter table mailings reset (autovacuum_enabled)")
    books.run("alter table mailing_counters reset (autovacuum_enabled)")


def pages_read(connection: Connection, statement: TextClause, **values: Any) -> int:
    plan, _ = explain(connection, statement, values)
    return pages(plan)
