"""Tests go through the built-in provider, by the dispatcher that sends everything else, and none of that notices."""

import time
from collections.abc import Sequence
from datetime import timedelta

from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Faults
from sandbox.simulator.outage import Mode
from shared import metrics
from shared.broker.base import Session
from shared.domain.message import Error
from shared.domain.receipt import Receipt, ReceiptState
from shared.messages.receipts import take_receipts
from tests.support.books import Books
from tests.support.dispatching import Dispatcher, is_open, publish, settled
from tests.support.waiting import patience, wait_until

pytest_plugins = ("tests.support.provider",)

OUTCOMES = {
    79120000000: ("sent", None),
    79120000001: ("failed", "rejected"),
    79120000002: ("sent", None),
    79120000003: ("unknown", "connection_lost"),
    79120000004: ("failed", "server_error"),
    79120000005: ("sent", None),
    79120000006: ("sent", None),
    79120004321: ("sent", None),
}
SLOW, DOWN = 79120000002, 79120000004


def people(books: Books, phones: Sequence[int], tag: str) -> None:
    books.run(
        """insert into clients (phone, operator_code, tag, timezone)
           select phone, '912', :tag, 'UTC' from unnest(cast(:phones as bigint[])) phone""",
        phones=list(phones),
        tag=tag,
    )


def ending_in(digits: int, number: int) -> list[int]:
    """So many phones with these digits at their end."""
    return [79130000000 + prefix * 10_000 + digits for prefix in range(number)]


def counters() -> dict[str, float]:
    """Every metric of calls, messages and the breaker that a dispatcher of this process shows, but for noughts."""
    families = (
        metrics.ATTEMPTS, metrics.ERRORS, metrics.MESSAGES_CLAIMED, metrics.MESSAGES_SKIPPED, metrics.MESSAGES_CREATED,
        metrics.MESSAGES_REPEATED, metrics.CALL_SECONDS, metrics.ATTEMPTS_SPARED, metrics.BREAKER_OPEN,
        metrics.MAILINGS_HELD, metrics.MESSAGES_HANDED_BACK,
    )  # fmt: skip
    return {
        f"{sample.name}{sample.labels}": sample.value
        for family in families
        for collected in family.collect()
        for sample in collected.samples
        if sample.value and not sample.name.endswith("_created")
    }


def test_every_outcome_can_be_had_and_nothing_reaches_the_provider(
    books: Books, simulator: Simulator, database_url: str
) -> None:
    people(books, list(OUTCOMES), "")
    mailing_id = books.mailing(test=True)
    before = counters()
    with Dispatcher(database_url, simulator, feeds=True, ladder=[timedelta(seconds=1)], attempts=3):
        wait_until(lambda: sum(books.states(mailing_id).get(state, 0) for state in ("sent", "failed", "unknown")) == 8)
        wait_until(lambda: books.run("select finished_at from mailings")[0].finished_at)
    rows = books.run("select phone, status, error, calls, attempts, sent_at from messages order by phone")
    assert {row.phone: (row.status, row.error) for row in rows} == OUTCOMES
    assert {row.phone: (row.calls, row.attempts) for row in rows if row.error} == {
        79120000001: (1, 1), 79120000003: (3, 3), DOWN: (3, 3),
    }  # fmt: skip
    slow, quick = (next(row.sent_at for row in rows if row.phone == phone) for phone in (SLOW, 79120000000))
    assert slow - quick > timedelta(seconds=4)
    assert simulator.summary().requests == 0
    assert counters() == before
    receipts = books.run("select m.phone, r.state, r.reason from receipts r join messages m on m.id = r.message_id")
    assert {row.phone: (row.state, row.reason) for row in receipts} == {
        79120000000: ("delivered", None),
        79120000002: ("delivered", None),
        79120000005: ("undelivered", "absent subscriber"),
        79120004321: ("delivered", None),
    }
    words = books.run("select distinct words from attempts where error = 'rejected'")
    assert [row.words for row in words] == ["unknown subscriber"]


def test_nobody_else_says_anything_of_a_test(books: Books, simulator: Simulator, database_url: str) -> None:
    """A receipt of a provider for one is about no message that we know."""
    people(books, ending_in(6, 3), "")
    mailing_id = books.mailing(test=True)
    with Dispatcher(database_url, simulator, feeds=True):
        wait_until(lambda: books.states(mailing_id) == {"sent": 3})
    ids = books.ids(mailing_id)
    taken = books.move(take_receipts, "seed", [Receipt(ReceiptState.DELIVERED, message_id) for message_id in ids])
    assert (taken.unknown, taken.states.total()) == (set(ids), 0)
    assert books.run("select * from receipts") == []


def test_a_job_that_says_otherwise_sends_no_test(
    books: Books, session: Session, simulator: Simulator, database_url: str
) -> None:
    """One of a leader of the version before, which knows no tests."""
    people(books, ending_in(0, 20), "")
    mailing_id = books.mailing(test=True)
    books.launch(mailing_id)
    with Dispatcher(database_url, simulator):
        publish(session, mailing_id, books.ids(mailing_id))
        wait_until(settled(books, mailing_id, sent=20))
    assert simulator.summary().requests == 0


def test_a_test_that_fails_opens_no_breaker_and_is_not_held_back(
    books: Books, simulator: Simulator, database_url: str
) -> None:
    people(books, ending_in(4, 200), "down")
    people(books, ending_in(1, 200), "refused")
    people(books, ending_in(5_000, 50), "live")
    down, refused = books.mailing(test=True, tags=["down"]), books.mailing(test=True, tags=["refused"])
    with Dispatcher(database_url, simulator, feeds=True, ladder=[timedelta(seconds=600)]):
        wait_until(lambda: books.states(down) == {"retrying": 200})
        wait_until(lambda: books.states(refused) == {"failed": 200})
        live = books.mailing(tags=["live"])
        wait_until(lambda: books.states(live) == {"sent": 50})
    assert not is_open(Error.SERVER_ERROR)
    assert books.run("select mailing_id from mailing_standings") in ([], [(live,)])
    assert books.run("select id from mailings where paused_at is not null or halted_at is not null") == []
    assert simulator.summary().accepted == 50


def test_an_outage_of_the_provider_holds_up_no_test_and_no_test_is_its_probe(
    books: Books, simulator: Simulator, database_url: str
) -> None:
    people(books, ending_in(5_000, 60), "live")
    people(books, ending_in(6_000, 60), "test")
    simulator.outage(Mode.UNAVAILABLE)
    with Dispatcher(database_url, simulator, feeds=True, ladder=[timedelta(seconds=1)]):
        live = books.mailing(tags=["live"])
        wait_until(lambda: is_open(Error.SERVER_ERROR))
        test = books.mailing(test=True, tags=["test"])
        wait_until(lambda: books.states(test) == {"sent": 60})
        assert "sent" not in books.states(live)
        simulator.end_outage()
        wait_until(lambda: books.states(live) == {"sent": 60})
    assert simulator.received().keys() == set(books.ids(live))


def test_a_test_takes_nothing_of_the_rate(books: Books, simulator: Simulator, database_url: str) -> None:
    """Beside a mailing that is at its limit, hundreds of tests go out at once."""
    rate = 10.0
    people(books, ending_in(5_000, 1_000), "live")
    people(books, ending_in(6_000, 1_000), "test")
    live = books.mailing(tags=["live"])
    with Dispatcher(database_url, simulator, feeds=True, rate=rate):
        wait_until(lambda: books.states(live).get("sent", 0) >= 10)
        test, since = books.mailing(test=True, tags=["test"], ends=timedelta(minutes=10)), time.time()
        wait_until(
            lambda: books.states(test) == {"sent": 1_000}, patience(30, at_most=60)
        )  # by the rate it takes 100 s
        time.sleep(max(0.0, since + 6 - time.time()))
        until = time.time()
    sent = sum(since <= one.first_at < until for one in simulator.accepted().values())
    assert sent >= 0.7 * rate * (until - since - 1), "what is really sent was held up"
    assert sent <= rate * (until - since) + 5


def test_slow_tests_take_no_place_from_what_is_really_sent(
    books: Books, simulator: Simulator, database_url: str
) -> None:
    """There are far more of them than calls that may be open."""
    simulator.set_faults(Faults(latency_ms=50))
    people(books, ending_in(2, 300), "slow")
    people(books, ending_in(5_000, 200), "live")
    slow = books.mailing(test=True, tags=["slow"])
    with Dispatcher(database_url, simulator, feeds=True, concurrency=5):
        wait_until(lambda: books.states(slow) == {"sending": 300})
        live = books.mailing(tags=["live"])
        wait_until(lambda: books.states(live) == {"sent": 200})
        wait_until(lambda: books.states(slow) == {"sent": 300})


def test_a_dispatcher_that_stops_leaves_no_test_behind(books: Books, simulator: Simulator, database_url: str) -> None:
    """It waits for the calls that are slow."""
    people(books, ending_in(2, 20), "")
    mailing_id = books.mailing(test=True)
    with Dispatcher(database_url, simulator, feeds=True):
        wait_until(lambda: books.states(mailing_id) == {"sending": 20})
    assert books.states(mailing_id) == {"sent": 20}
