"""What a provider that is away, closed, choosy or mute costs the messages, with the whole dispatcher.

The rule alone is held in tests/unit/sending/test_blame.py, and on a clock of its own in
tests/unit/sending/test_blame_laws.py.
"""

from datetime import timedelta

import pytest

from dispatcher_service.sending import breaker
from dispatcher_service.sending.blame import STUCK_AFTER
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared.broker.base import Session
from shared.domain.message import Error
from shared.domain.retry import RetryPolicy
from shared.domain.standing import MOST_OPEN, REFUSALS
from tests.support.books import SECOND, Books
from tests.support.dispatching import Dispatcher, is_open, publish, settled
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.provider",)

ATTEMPTS = 4
QUICK_LADDER = (timedelta(milliseconds=200),)


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hundreds of calls are made while the breaker is open."""
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(breaker, "LONGEST_PAUSE", 0.05)


def calls(simulator: Simulator) -> set[int]:
    """How often messages came to the provider."""
    return {record.count for record in simulator.received().values()}


@pytest.mark.parametrize("number", [5, 60])
def test_an_outage_costs_nobody_their_message(
    books: Books, simulator: Simulator, database_url: str, number: int
) -> None:
    """503 for longer than the ladder with its four attempts lasts: 1 s, 2 s, 2 s. When every failure was spent, all of
    5 messages failed, and 47 of 60 in an outage of two minutes."""
    simulator.outage(Mode.UNAVAILABLE, seconds=8)
    mailing_id, _ = books.launched(number)
    with Dispatcher(database_url, simulator, feeds=True, attempts=ATTEMPTS):
        wait_until(lambda: simulator.summary().outage is None)
        wait_until(settled(books, mailing_id, sent=number))
    assert books.run("select max(attempts) as most from messages")[0].most == 1
    assert books.run("select from attempts") == []
    assert simulator.summary().doubled == 0


@pytest.mark.parametrize(("status", "reason", "number"), [(404, Error.WRONG_ADDRESS, 3_000), (402, Error.UNPAID, 500)])
def test_what_is_ours_to_mend_costs_nothing_and_says_so(
    books: Books, simulator: Simulator, database_url: str, status: int, reason: Error, number: int
) -> None:
    """It was taken for a refusal of each message: all of 20 000 had failed within five seconds."""
    simulator.set_faults(Faults(status=status))
    mailing_id, _ = books.launched(number)
    with Dispatcher(database_url, simulator, feeds=True, attempts=1, concurrency=10):
        wait_until(lambda: is_open(reason))
        wait_until(lambda: simulator.summary().requests >= 12)  # probes among them
        assert books.states(mailing_id).keys() <= {"pending", "sending"}
        assert simulator.summary().requests < 40
        simulator.set_faults(Faults())
        wait_until(settled(books, mailing_id, sent=number))
    assert books.run("select attempts from messages group by 1") == [(1,)]
    assert books.run("select from attempts") == []


def test_a_closed_account_costs_a_mailing_seventy_messages(
    books: Books, simulator: Simulator, database_url: str
) -> None:
    """With any number of dispatchers. All of 3 000 failed."""
    simulator.set_faults(Faults(latency_ms=50, status=400))
    mailing_id, ids = books.launched(1_000)
    with (
        Dispatcher(database_url, simulator, feeds=True, concurrency=100),
        Dispatcher(database_url, simulator, concurrency=100),
        Dispatcher(database_url, simulator, concurrency=100),
    ):
        wait_until(lambda: books.run("select from mailings where paused_at = halted_at"))
        wait_until(lambda: not books.states(mailing_id).get("sending"))
        states = books.states(mailing_id)
        assert REFUSALS <= states["failed"] <= REFUSALS + MOST_OPEN
        assert simulator.summary().received == states["failed"]
        [row] = books.run("select provider_words from mailings")
        assert row.provider_words == '{"code": 400, "message": "simulated"}'
        # Somebody has paid, and resumes it: what was not called for goes out.
        simulator.set_faults(Faults())
        books.run("update mailings set paused_at = null")
        books.move(lambda _, entries: entries.look(mailing_id))
        rest = len(ids) - states["failed"]
        wait_until(lambda: books.states(mailing_id) == {"failed": states["failed"], "sent": rest})
    [attempt] = books.run("select error, words, count(*) from attempts group by 1, 2")
    assert tuple(attempt) == ("rejected", '{"code": 400, "message": "simulated"}', states["failed"])


@pytest.mark.usefixtures("quick_probes")
@pytest.mark.parametrize("fault", [Fault.CREATED, Fault.NO_CODE])
def test_a_provider_that_delivers_and_does_not_say_so(
    books: Books, simulator: Simulator, database_url: str, fault: Fault
) -> None:
    """The answers were taken for a no: of 50 people 7 were called twice, and nobody counted that."""
    simulator.set_faults(Faults({fault: 1.0}))
    mailing_id, ids = books.launched(50)
    with Dispatcher(database_url, simulator, feeds=True, attempts=2):
        wait_until(lambda: books.states(mailing_id) == {"unknown": 50})
    assert calls(simulator) == {2}
    assert books.tallies(mailing_id) == {"unknown": 50, "error.bad_answer": 100, "repeated": 50}
    kept = books.run("select message_id, number, error, words from attempts order by 1, 2")
    words = {Fault.CREATED: "Created", Fault.NO_CODE: '{"status": "queued"}'}[fault]
    assert kept == [(message_id, number, "bad_answer", words) for message_id in ids for number in (1, 2)]


@pytest.mark.usefixtures("quick_probes")
def test_a_provider_that_delivers_and_never_answers(books: Books, simulator: Simulator, database_url: str) -> None:
    simulator.set_faults(Faults({Fault.ACCEPT_HANG: 1.0}))
    mailing_id, _ = books.launched(10)
    with Dispatcher(database_url, simulator, feeds=True, attempts=3, timeout=0.3):
        wait_until(lambda: books.states(mailing_id) == {"unknown": 10})
    assert calls(simulator) == {3}
    assert books.run("select calls, attempts from messages group by 1, 2") == [(3, 3)]


def test_a_text_that_the_provider_cannot_stand_ends_by_calls_where_it_is_alone(
    books: Books, simulator: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell it from an outage; nor is it asked about for ever."""
    monkeypatch.setattr(RetryPolicy, "calls", 5)
    simulator.set_faults(Faults(poison="Hello"))
    mailing_id, ids = books.launched(3)
    with Dispatcher(database_url, simulator, feeds=True, attempts=2, patience=2 * SECOND):
        wait_until(lambda: books.states(mailing_id) == {"failed": 3})
    assert calls(simulator) == {5}
    assert books.run("select error, calls, attempts from messages group by 1, 2, 3") == [("provider_down", 5, 0)]
    kept = books.run("select message_id, number, error, words from attempts order by 1, 2")
    said = '{"code": 500, "message": "this text breaks the provider"}'
    assert kept == [(message_id, 1, "server_error", said) for message_id in ids]


def test_and_is_held_back_where_others_are_served(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """The others do not even need a second call."""
    simulator.set_faults(Faults(poison="Hello", latency_ms=20))
    poisoned, poisoned_ids = books.launched(200)
    others, other_ids = books.launched(0)
    books.run("update mailings set text = 'The doors open' where id = :id", id=others)
    books.prove(poisoned, others)
    for at in range(0, 200, 10):  # side by side, as the share has it
        publish(session, poisoned, poisoned_ids[at : at + 10])
        publish(session, others, other_ids[at : at + 10])
    with Dispatcher(database_url, simulator, attempts=ATTEMPTS, concurrency=20):
        wait_until(lambda: books.states(others) == {"sent": 200})
        assert books.run("select holds from mailing_standings where mailing_id = :id", id=poisoned)[0].holds
    assert books.run("select max(calls) as most from messages where mailing_id = :id", id=others)[0].most == 1
    assert STUCK_AFTER <= len(simulator.received().keys() & set(poisoned_ids)) <= 4 * STUCK_AFTER
    assert books.run("select error from attempts group by 1") == [("server_error",)]


@pytest.mark.usefixtures("quick_probes")
def test_one_that_serves_one_in_ten_serves_them_all(books: Books, simulator: Simulator, database_url: str) -> None:
    """It is slow, not an end: a third had failed when every failure was spent. The unluckiest of them takes some forty
    calls, a rung apart."""
    simulator.set_faults(Faults({Fault.SERVER_ERROR: 0.9}))
    mailing_id, _ = books.launched(60)
    with Dispatcher(database_url, simulator, feeds=True, ladder=QUICK_LADDER, attempts=10):
        wait_until(lambda: books.states(mailing_id) == {"sent": 60})
    assert books.run("select max(attempts) as most from messages")[0].most <= 5
