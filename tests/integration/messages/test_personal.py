"""Texts that are made for each client: when, what keeps them, and what becomes of those that cannot be made."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.domain.retry import Finish, HandBack, Retry
from shared.ledger.entries import Entries
from shared.ledger.figures import read_reasons
from shared.messages.claim import claim_messages
from shared.messages.erase import erase_messages, is_erased
from shared.messages.record import Verdict
from shared.messages.remember import record_called
from tests.integration.messages.test_messages import closed_window
from tests.support.books import LEASE, SECOND, SENT, Books

HELLO = "Hello {{ name }}"


@pytest.fixture
def books(engine: Engine) -> Iterator[Books]:
    """Its ledger must balance at the end."""
    books = Books(engine)
    yield books
    books.check()


def know(books: Books, client_id: int, **attributes: Any) -> None:
    books.run(
        "update clients set attributes = cast(:known as jsonb) where id = :id",
        id=client_id,
        known=json.dumps(attributes),
    )


def mailed(books: Books, words: str, *known: dict[str, Any], **mailing: Any) -> tuple[int, list[int]]:
    """A mailing to as many clients, of each of whom that is known; its id, and those of its messages."""
    for client_id, attributes in zip(books.clients(len(known)), known, strict=True):
        know(books, client_id, **attributes)
    mailing_id = books.mailing(words=words, **mailing)
    books.launch(mailing_id)
    return mailing_id, books.ids(mailing_id)


def reasons(books: Books, mailing_id: int) -> dict[Reason, int]:
    with books.engine.connect() as connection:
        return read_reasons(connection, mailing_id)


def back(books: Books, mailing_id: int) -> None:
    books.run("update messages set due_at = now() where mailing_id = :id and due_at is not null", id=mailing_id)


@pytest.mark.parametrize("words", [HELLO, "{% if name %}Hello {{ name }}{% endif %}"])
def test_each_gets_theirs_and_the_row_keeps_it_before_any_call(books: Books, words: str) -> None:
    mailing_id, ids = mailed(books, words, {"name": "Anna"}, {"name": "Борис"})
    claimed = books.claim(mailing_id, ids)
    assert [message.text for message in claimed] == ["Hello Anna", "Hello Борис"]
    assert [books.message(message.id).text for message in claimed] == ["Hello Anna", "Hello Борис"]
    assert all(message.is_personal for message in claimed)


def test_what_is_no_template_leaves_nothing_in_the_row(books: Books) -> None:
    mailing_id, ids = books.launched(2, words="Hello { name }")
    assert {message.text for message in books.claim(mailing_id, ids)} == {"Hello { name }"}
    assert books.message(ids[0]).text is None


def test_braces_of_a_mailing_that_was_there_before_are_braces(books: Books) -> None:
    books.clients(1)
    mailing_id = books.mailing(words=HELLO)
    books.run("update mailings set personal = false")
    books.launch(mailing_id)
    assert [message.text for message in books.claim(mailing_id, books.ids(mailing_id))] == [HELLO]


@pytest.mark.parametrize(
    ("words", "known", "reason"),
    [
        (HELLO, {"town": "Omsk"}, Reason.MISSING_VALUE),
        ("{% if vip %}For you{% endif %} ", {}, Reason.MISSING_VALUE),
        ("{{ name }}", {"name": "\u2060"}, Reason.MISSING_VALUE),
        ("{{ a }}{{ a }}{{ a }}", {"a": "x" * 1000}, Reason.TOO_LONG),
        ("{% if true %}{% endif %}{{ a }}{{ a }}{{ a }}", {"a": "x" * 1000}, Reason.TOO_LONG),
        ("{% for i in (1..n) %}{{ i }}{% endfor %}", {"n": 10**15}, Reason.TOO_LONG),
        ("{{ 7 | divided_by: n }}", {"n": 0}, Reason.MISSING_VALUE),
    ],
)
def test_what_cannot_be_made_is_skipped_with_its_reason_and_the_others_go_out(
    books: Books, words: str, known: dict[str, Any], reason: Reason
) -> None:
    whole = {"name": "Anna", "a": "x", "n": 2, "vip": True}
    mailing_id, ids = mailed(books, words, whole, known, whole)
    claimed = books.claim(mailing_id, ids)
    assert [message.id for message in claimed] == [ids[0], ids[2]]
    assert books.states(mailing_id) == {"sending": 2, "skipped": 1}
    row = books.message(ids[1])
    assert (row.error, row.text, row.due_at) == (reason, None, None)
    assert reasons(books, mailing_id) == {reason: 1}


def test_a_text_of_two_thousand_characters_is_sent(books: Books) -> None:
    mailing_id, ids = mailed(books, "{{ a }}{{ a }}", {"a": "я" * 1000})
    assert [len(message.text) for message in books.claim(mailing_id, ids)] == [2000]


def test_a_changed_value_acts_on_what_was_not_called_yet(books: Books) -> None:
    mailing_id, ids = mailed(books, HELLO, {"name": "Anna"})
    books.record(HandBack(), books.claim(mailing_id, ids))
    assert books.message(ids[0]).text is None
    know(books, books.message(ids[0]).client_id, name="Maria")
    back(books, mailing_id)
    assert [message.text for message in books.claim(mailing_id, ids)] == ["Hello Maria"]


@pytest.mark.parametrize(
    ("decision", "error"),
    [(Retry(SECOND), Error.SERVER_ERROR), (Retry(SECOND), Error.TIMED_OUT), (HandBack(), Error.RATE_LIMITED)],
)
def test_from_the_first_call_on_every_repeat_has_the_same_bytes(books: Books, decision: Any, error: Error) -> None:
    mailing_id, ids = mailed(books, HELLO, {"name": "Anna"})
    books.record(decision, books.claim(mailing_id, ids), error)
    know(books, books.message(ids[0]).client_id)
    for _ in range(2):
        back(books, mailing_id)
        [message] = books.claim(mailing_id, ids)
        assert message.text == "Hello Anna"
        books.record(HandBack(), [message])
    back(books, mailing_id)
    books.record(SENT, books.claim(mailing_id, ids))
    assert books.message(ids[0]).text == "Hello Anna"


def test_a_text_outlives_the_dispatcher_that_made_it(books: Books) -> None:
    """It may have called before it died."""
    mailing_id, ids = mailed(books, HELLO, {"name": "Anna"})
    books.claim(mailing_id, ids)
    know(books, books.message(ids[0]).client_id, name="Maria")
    back(books, mailing_id)
    assert books.rescue(attempts=9, limit=9) == 1
    assert [message.text for message in books.claim(mailing_id, ids)] == ["Hello Anna"]


def test_who_dies_before_the_claim_is_committed_has_fixed_nothing(books: Books) -> None:
    mailing_id, ids = mailed(books, HELLO, {"name": "Anna"})
    with books.engine.connect() as connection:
        assert claim_messages(connection, Entries(), {mailing_id: ids}, lease=LEASE)
        connection.rollback()
    know(books, books.message(ids[0]).client_id, name="Maria")
    assert [message.text for message in books.claim(mailing_id, ids)] == ["Hello Maria"]


def test_a_database_that_forgot_a_call_is_told_its_text(books: Books) -> None:
    mailing_id, ids = mailed(books, HELLO, {"name": "Anna"})
    with books.engine.connect() as connection:
        claim = claim_messages(connection, Entries(), {mailing_id: ids}, lease=LEASE)
        connection.rollback()
    assert claim
    know(books, books.message(ids[0]).client_id, name="Maria")
    verdicts = [Verdict(message, Retry(SECOND), Error.TIMED_OUT, ambiguous=True) for message in claim.messages]
    assert books.move(record_called, verdicts, SECOND) == 0
    back(books, mailing_id)
    assert [message.text for message in books.claim(mailing_id, ids)] == ["Hello Anna"]


def test_nothing_is_made_or_skipped_before_the_window_opens(books: Books) -> None:
    mailing_id, ids = mailed(books, HELLO, {})
    window = dict(zip(("from_", "until"), closed_window(), strict=True))
    books.run("update mailings set window_from = :from_, window_until = :until", **window)
    assert books.claim(mailing_id, ids) == []
    assert books.states(mailing_id) == {"pending": 1}
    know(books, books.message(ids[0]).client_id, name="Anna")
    books.run("update mailings set window_from = null, window_until = null")
    back(books, mailing_id)
    assert [message.text for message in books.claim(mailing_id, ids)] == ["Hello Anna"]


def test_personal_and_other_mailings_of_one_job_are_claimed_side_by_side(books: Books) -> None:
    books.clients(2)
    know(books, 1, name="Anna")
    plain, one, other = books.mailing(), books.mailing(words=HELLO), books.mailing(words="Bye {{ name }}")
    for mailing_id in (plain, one, other):
        books.launch(mailing_id)
    job = {mailing_id: books.ids(mailing_id) for mailing_id in (plain, one, other)}
    claim = books.move(claim_messages, job, lease=LEASE)
    assert claim
    texts = {(message.mailing_id, message.client_id, message.text) for message in claim.messages}
    assert texts == {(plain, 1, "Hello"), (plain, 2, "Hello"), (one, 1, "Hello Anna"), (other, 1, "Bye Anna")}
    assert books.states(one) == books.states(other) == {"sending": 1, "skipped": 1}


def test_erased_is_erased(books: Books) -> None:
    mailing_id, ids = mailed(books, HELLO, {"name": "Anna"})
    books.record(Finish(MessageState.SENT), books.claim(mailing_id, ids))
    client_id = books.message(ids[0]).client_id
    books.run("update messages set phone = null")  # by a version that knew no texts
    with books.engine.begin() as connection:
        assert not is_erased(connection, client_id)
        assert erase_messages(connection, client_id) == set()
        assert is_erased(connection, client_id)
    assert books.message(ids[0]).text is None
