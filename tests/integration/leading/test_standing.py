"""Where mailings stand with the provider: unproven, refused by all, held back alone; and the end of an outage."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from dispatcher_service.leading.walk import due_mailings
from shared import standing
from shared.domain.message import Error, MessageState
from shared.domain.retry import Finish, HandBack, Retry
from shared.domain.standing import MOST_OPEN, REFUSALS
from shared.messages import wake
from shared.messages.hints import settle_hints
from shared.messages.probe import Probe, find_probe
from shared.messages.record import Verdict, record_verdicts
from shared.messages.wake import wake_waiting
from shared.standing import Halt, Refused, Room
from tests.support.books import HOUR, MINUTE, SECOND, Books
from tests.support.leading import Start
from tests.support.waiting import wait_until


def room(books: Books, *mailing_ids: int) -> Room:
    """As a dispatcher finds it whose turn it is."""
    with books.engine.begin() as connection:
        trusted, doubtful = standing.ask(connection, mailing_ids)
        assert trusted | doubtful == set(mailing_ids)
        return standing.room(connection, doubtful) if doubtful else Room({}, ())


def refuse(books: Books, mailing_id: int, number: int, words: str = "no") -> None:
    with books.engine.begin() as connection:
        standing.count_refusals(connection, [Refused(mailing_id, number, words)])


def hold(books: Books, mailing_id: int) -> float | None:
    with books.engine.begin() as connection:
        return standing.hold(connection, [mailing_id]).get(mailing_id)


def halts(books: Books) -> list[Halt]:
    with books.engine.connect() as connection:
        return list(standing.find_refused(connection, 10))


# ---------------------------------------------------------------- until the first acceptance


def test_few_calls_are_open_before_the_first_acceptance_and_any_number_after_it(books: Books) -> None:
    mailing_id, ids = books.launched(30)
    assert room(books, mailing_id) == Room({mailing_id: MOST_OPEN}, set())
    claimed = books.claim(mailing_id, ids[:15])
    assert room(books, mailing_id).some == {mailing_id: MOST_OPEN - 15}
    books.record(Finish(MessageState.FAILED), claimed[:5], Error.REJECTED)
    assert room(books, mailing_id).some == {mailing_id: MOST_OPEN - 10}
    books.prove(mailing_id)
    assert room(books, mailing_id) == Room({}, ())


def test_of_many_dispatchers_one_has_the_turn(books: Books) -> None:
    """And nobody waits for it: neither for the others, nor for whoever has the mailing's row."""
    one, other = books.mailing(), books.mailing()
    with books.engine.begin() as holder, books.engine.begin() as launch, books.engine.begin() as late:
        launch.exec_driver_sql("select from mailings for update")
        assert standing.take_turns(holder, [one]) == {one}
        assert standing.take_turns(holder, [one]) == {one}
        assert standing.take_turns(late, [one, other]) == {other}
        assert standing.ask(late, [one, other]) == (set(), {other})
        standing.prove(holder, [one])
    with books.engine.begin() as connection:
        assert standing.take_turns(connection, [one]) == {one}
        assert standing.ask(connection, [one, other]) == ({one}, {other})


def test_enough_refusals_halt_a_mailing_once(books: Books) -> None:
    mailing_id, ids = books.launched(3)
    refuse(books, mailing_id, REFUSALS - 1, "not yet")
    assert (halts(books), room(books, mailing_id).none) == ([], set())
    refuse(books, mailing_id, 1, "the account is closed")
    # From here on nothing is claimed, whenever the leader comes to pause it.
    assert room(books, mailing_id) == Room({}, {mailing_id})
    with books.engine.connect() as connection:
        assert [mailing.due for mailing in due_mailings(connection)] == [False]
    assert halts(books) == [Halt(mailing_id, "the account is closed")]
    with books.engine.begin() as connection:
        assert standing.halt(connection, halts(books)[0])
        assert not standing.halt(connection, Halt(mailing_id, "again"))
    row = books.run("select paused_at, halted_at, provider_words from mailings")[0]
    assert row.paused_at == row.halted_at is not None
    assert row.provider_words == "the account is closed"
    assert halts(books) == []
    # Resumed, it is called for again, a few at a time, and whatever comes of it does not halt it again.
    books.run("update mailings set paused_at = null")
    refuse(books, mailing_id, REFUSALS)
    assert halts(books) == []
    assert room(books, mailing_id) == Room({mailing_id: MOST_OPEN}, set())
    assert books.claim(mailing_id, ids)


def test_a_refusal_gives_its_place_away_only_when_it_counts(books: Books) -> None:
    """Those who record one have the mailing's turn seldom where dispatchers are many. Four let a closed account cost a
    mailing 80 messages, as what was refused was open no more, and not yet counted."""
    mailing_id, ids = books.launched(REFUSALS + MOST_OPEN)
    for at in range(0, REFUSALS, MOST_OPEN // 2):
        assert room(books, mailing_id) == Room({mailing_id: MOST_OPEN}, set())
        claimed = books.claim(mailing_id, ids[at : at + MOST_OPEN // 2])
        books.record(Finish(MessageState.FAILED), claimed, Error.REJECTED)
    assert room(books, mailing_id) == Room({}, {mailing_id})
    assert halts(books) == [Halt(mailing_id, None)], "nobody who could say what the provider's words were is left"
    refuse(books, mailing_id, 0, "the account is closed")
    assert halts(books) == [Halt(mailing_id, "the account is closed")]
    assert books.run("select refusals from mailing_standings") == [(REFUSALS,)]


def test_what_was_accepted_once_is_not_halted(books: Books) -> None:
    mailing_id = books.mailing()
    refuse(books, mailing_id, REFUSALS - 1)
    books.prove(mailing_id)
    refuse(books, mailing_id, REFUSALS)
    assert halts(books) == []
    assert room(books, mailing_id) == Room({}, ())


def test_a_mailing_that_a_person_paused_is_halted_when_it_goes_on(books: Books) -> None:
    mailing_id = books.mailing()
    books.run("update mailings set paused_at = now()")
    refuse(books, mailing_id, REFUSALS)
    assert halts(books) == []
    books.run("update mailings set paused_at = null")
    assert [one.mailing_id for one in halts(books)] == [mailing_id]


# ---------------------------------------------------------------- held back


def test_a_mailing_is_held_back_for_longer_every_time_until_it_is_served(books: Books) -> None:
    mailing_id, _ = books.launched(3)
    books.prove(mailing_id)
    pauses = []
    for _ in range(10):
        pauses.append(hold(books, mailing_id))
        assert hold(books, mailing_id) is None, "it is held back already"
        assert room(books, mailing_id) == Room({}, {mailing_id})
        books.run("update mailing_standings set held_until = now()")
        assert room(books, mailing_id) == Room({mailing_id: MOST_OPEN}, set())
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    books.prove(mailing_id)
    assert room(books, mailing_id) == Room({}, ())
    assert hold(books, mailing_id) == 2


def test_what_is_held_back_is_not_fed_and_looked_at_when_that_is_over(books: Books) -> None:
    mailing_id, _ = books.launched(3)
    hold(books, mailing_id)
    with books.engine.begin() as connection:
        assert [(mailing.due, mailing.is_quiet) for mailing in due_mailings(connection)] == [(False, True)]
        settle_hints(connection, [mailing_id])
    held_until = books.run("select held_until from mailing_standings")[0].held_until
    assert books.run("select min(due_at) as hint from mailing_counters")[0].hint == held_until
    books.run("update mailing_standings set held_until = now()")
    books.run("update mailing_counters set due_at = now()")
    with books.engine.begin() as connection:
        assert [mailing.due for mailing in due_mailings(connection)] == [True]


# ---------------------------------------------------------------- probes


def probe(books: Books, last: int | None = None) -> Probe | None:
    with books.engine.connect() as connection:
        return find_probe(connection, last)


def test_a_probe_takes_what_was_tried_least_and_not_one_mailings_twice_in_a_row(books: Books) -> None:
    assert probe(books) is None
    tried, tried_ids = books.launched(3, tags=["a"])
    books.clients(3, tag="a")
    one, one_ids = books.launched(0, tags=["a"])
    books.run("update messages set calls = 7 where mailing_id = :id", id=one)
    books.run("update messages set calls = 2 where id = :id", id=one_ids[1])
    assert probe(books) == Probe(2, one, one_ids[1])
    other, other_ids = books.launched(0, tags=["a"])
    books.run("update messages set calls = 9 where mailing_id = :id", id=other)
    assert (tried, tried_ids) != (one, one_ids)
    assert probe(books, last=one) == Probe(9, other, other_ids[0])
    assert probe(books, last=other) == Probe(2, one, one_ids[1])
    books.run("update mailings set paused_at = now() where id = :id", id=one)
    assert probe(books, last=other) == Probe(9, other, other_ids[0]), "there is no other one"
    hold(books, other)
    assert probe(books) is None


# ---------------------------------------------------------------- after an outage


def spare(books: Books, mailing_id: int, ids: list[int], *, error: Error, delay: timedelta = HOUR) -> None:
    """Calls that are not held against the messages."""
    is_ours = error is Error.UNPAID
    verdicts = [
        Verdict(message, HandBack(delay) if is_ours else Retry(delay), error, is_spent=False)
        for message in books.claim(mailing_id, ids)
    ]
    assert len(verdicts) == len(ids)
    assert books.move(record_verdicts, verdicts, SECOND) == 0


def due(books: Books) -> set[int]:
    return {row.id for row in books.run("select id from messages where due_at <= now()")}


def test_what_waits_because_of_an_outage_is_due_when_it_is_over(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "SLICE", 4)
    mailing_id, ids = books.launched(12)
    spare(books, mailing_id, ids[:6], error=Error.SERVER_ERROR)
    spare(books, mailing_id, ids[6:9], error=Error.UNPAID, delay=MINUTE)
    books.record(Retry(MINUTE), books.claim(mailing_id, ids[9:12]), Error.SERVER_ERROR)  # spent: it waits for its rung
    assert not due(books)
    after, numbers = None, []
    while True:
        woken = books.move(wake_waiting, mailing_id, after=after, within=3600.0)
        numbers.append(woken.number)
        if woken.last is None:
            break
        after = woken.last
    assert due(books) == set(ids[:9])
    assert sum(numbers) == 9
    assert max(numbers) <= 4
    assert books.run("select min(due_at) <= now() as is_due from mailing_counters")[0].is_due


def test_a_leader_wakes_what_waits_when_the_provider_is_back(books: Books, start: Start) -> None:
    mailing_id, ids = books.launched(5)
    start()
    other_id, other_ids = books.launched(0)
    spare(books, mailing_id, ids, error=Error.SERVER_ERROR)
    spare(books, other_id, other_ids, error=Error.UNREACHABLE)
    with books.engine.begin() as connection:
        standing.provider_returned(connection)
    wait_until(lambda: books.run("select count(*) from messages where due_at <= now()") == [(10,)])


def test_a_leader_halts_what_is_refused(books: Books, start: Start) -> None:
    mailing_id, _ = books.launched(3)
    refuse(books, mailing_id, REFUSALS, "the account is closed")
    with capture_logs() as lines:
        start()
        wait_until(lambda: books.run("select from mailings where paused_at = halted_at"))
        wait_until(lambda: any(line["event"] == "mailing_halted" for line in lines))
    [line] = [line for line in lines if line["event"] == "mailing_halted"]
    assert (line["mailing_id"], line["provider_words"]) == (mailing_id, "the account is closed")
