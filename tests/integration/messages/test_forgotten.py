"""A database that forgot the last moment, as a standby that takes over may: it is told again what was called then."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from dispatcher_service.pipeline.recent import KEPT_SECONDS, Recent
from shared.domain.message import Error, MessageState
from shared.domain.retry import Decision, Finish, HandBack, Retry
from shared.ledger.entries import Entries
from shared.ledger.names import REPEATED
from shared.messages.claim import Claimed, claim_messages
from shared.messages.record import Verdict
from shared.messages.remember import record_called
from tests.support.books import LEASE, MINUTE, SECOND, Books

SENT = Finish(MessageState.SENT)


@pytest.fixture
def books(engine: Engine) -> Iterator[Books]:
    """Its ledger must balance at the end."""
    books = Books(engine)
    yield books
    books.check()


def forgotten(books: Books, count: int) -> list[Claimed]:
    """Messages that were claimed and called, of which the database knows nothing."""
    mailing_id, ids = books.launched(count)
    with books.engine.connect() as connection:
        claim = claim_messages(connection, Entries(), {mailing_id: ids}, lease=LEASE)
        connection.rollback()
    assert claim
    return list(claim.messages)


def again(books: Books, *verdicts: Verdict) -> int:
    """How many came too late."""
    return books.move(record_called, verdicts, SECOND)


def verdict(message: Claimed, decision: Decision, error: Error | None = None) -> Verdict:
    return Verdict(message, decision, error, bool(error and error.is_ambiguous))


def test_what_was_accepted_is_sent_and_does_not_go_out_again(books: Books) -> None:
    first, second, third = forgotten(books, 3)
    assert again(books, verdict(first, SENT), verdict(third, SENT)) == 0
    assert books.states(first.mailing_id) == {"sent": 2, "pending": 1}
    assert books.due(first.mailing_id) == [second.id]
    row = books.message(first.id)
    assert (row.calls, row.attempts, row.claim_id) == (1, 1, None)


def test_what_the_provider_may_have_taken_stays_known_for_that(books: Books) -> None:
    last, repeated, before = forgotten(books, 3)
    verdicts = (
        verdict(last, Finish(MessageState.UNKNOWN), Error.TIMED_OUT),
        verdict(repeated, Retry(MINUTE), Error.TIMED_OUT),
        verdict(before._replace(repeat=True), Retry(MINUTE), Error.SERVER_ERROR),
    )
    assert again(books, *verdicts) == 0
    assert books.states(last.mailing_id) == {"unknown": 1, "retrying": 2}
    assert all(books.message(message.id).maybe_delivered for message in (last, repeated, before))
    assert books.run("select sum(count) from tallies where name = :name", name=REPEATED) == [(1,)]


def test_what_the_database_knows_is_not_written_twice(books: Books) -> None:
    mailing_id, ids = books.launched(3)
    sent, retried, lost = books.claim(mailing_id, ids)
    known = (verdict(sent, SENT), verdict(retried, Retry(MINUTE), Error.SERVER_ERROR))
    assert again(books, *known) == 0
    books.run("update messages set due_at = now() where id = :id", id=lost.id)
    assert books.rescue(attempts=9, limit=9) == 1
    assert again(books, *known, verdict(lost, SENT)) == 3
    assert books.states(mailing_id) == {"sent": 1, "retrying": 1, "pending": 1}
    assert [books.message(message.id).calls for message in (sent, retried, lost)] == [1, 1, 1]


def test_what_the_database_knows_is_not_even_locked(books: Books) -> None:
    """After a connection that was lost it is told thousands again, and has forgotten none of them as a rule."""
    mailing_id, ids = books.launched(2)
    known = [verdict(message, SENT) for message in books.claim(mailing_id, ids)]
    assert again(books, *known) == 0
    rows = "select xmin::text, xmax::text from messages order by id"
    before = books.run(rows)
    assert again(books, *known) == 2
    assert books.run(rows) == before


def test_what_another_has_claimed_since_is_theirs(books: Books) -> None:
    (message,) = forgotten(books, 1)
    (theirs,) = books.claim(message.mailing_id, [message.id])
    assert again(books, verdict(message, SENT)) == 1
    assert books.record(SENT, [theirs]) == 0


def test_the_last_word_of_the_last_seconds_is_kept(books: Books) -> None:
    old, spoken_of, twice, uncalled = forgotten(books, 4)
    recent = Recent()
    recent.add([verdict(old, SENT)], now=0.0)
    recent.add([verdict(twice, Retry(MINUTE), Error.SERVER_ERROR), verdict(uncalled, HandBack())], KEPT_SECONDS + 1)
    recent.add([verdict(twice, SENT), verdict(spoken_of, SENT)], KEPT_SECONDS + 2)
    assert list(recent.besides([verdict(spoken_of, SENT)])) == [verdict(twice, SENT)]
