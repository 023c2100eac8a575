"""The phone of a message: the client's until a call was made, and then the same for every repeat."""

from datetime import timedelta

import pytest

from shared.domain.message import Error, MessageState
from shared.domain.retry import Finish, HandBack, Retry
from shared.messages.follow import follow_phone
from tests.support.books import SECOND, Books

OLD, NEW = 79000000000 + 1, 79999999999


def give_new_phone(books: Books, client_id: int = 1) -> None:
    """As a PATCH does."""
    with books.engine.begin() as connection:
        connection.exec_driver_sql(f"update clients set phone = {NEW} where id = {client_id}")
        follow_phone(connection, client_id, NEW)


def phone(books: Books, message_id: int) -> int:
    return int(books.message(message_id).phone)


def due(books: Books) -> None:
    books.run("update messages set due_at = now() where status in ('pending', 'retrying')")


@pytest.fixture
def waiting(books: Books) -> tuple[int, int]:
    """A mailing with one message on the broker; the ids of both."""
    books._phones = 79000000000
    mailing_id, [message_id] = books.launched(1)
    assert phone(books, message_id) == OLD
    return mailing_id, message_id


def test_it_is_in_the_row_from_the_launch_on(books: Books) -> None:
    clients = books.clients(3)
    books.launch(books.mailing())
    rows = books.run("select m.client_id, m.phone = c.phone from messages m join clients c on c.id = m.client_id")
    assert sorted(tuple(row) for row in rows) == [(client, True) for client in clients]


def test_what_was_never_called_goes_to_the_new_one(books: Books, waiting: tuple[int, int]) -> None:
    mailing_id, message_id = waiting
    give_new_phone(books)
    assert phone(books, message_id) == NEW
    [claimed] = books.claim(mailing_id, [message_id])
    assert (claimed.phone, claimed.part) == (NEW, 1)


def test_a_message_in_hand_gets_the_new_one_when_it_is_handed_back_without_a_call(
    books: Books, waiting: tuple[int, int]
) -> None:
    mailing_id, message_id = waiting
    claimed = books.claim(mailing_id, [message_id])
    give_new_phone(books)
    assert phone(books, message_id) == OLD
    assert books.record(HandBack(), claimed) == 0
    assert (phone(books, message_id), books.message(message_id).calls) == (NEW, 0)
    due(books)
    assert books.due(mailing_id) == [message_id]
    assert [one.phone for one in books.claim(mailing_id, [message_id])] == [NEW]


@pytest.mark.parametrize(
    ("decision", "error", "is_spent"),
    [
        (Retry(timedelta(0)), Error.TIMED_OUT, True),
        (Retry(timedelta(0)), Error.SERVER_ERROR, True),
        (HandBack(), Error.RATE_LIMITED, False),
    ],
    ids=["no answer", "an answer that says no", "limited: no attempt is spent"],
)
def test_what_was_called_keeps_its_phone_for_every_repeat(
    books: Books, waiting: tuple[int, int], decision: Retry | HandBack, error: Error, is_spent: bool
) -> None:
    """The provider knows the id with the first phone; the same one with another would be two messages."""
    mailing_id, message_id = waiting
    claimed = books.claim(mailing_id, [message_id])
    give_new_phone(books)  # while the call is under way
    assert books.record(decision, claimed, error, is_spent=is_spent) == 0
    due(books)
    assert (books.message(message_id).calls, books.message(message_id).attempts) == (1, is_spent)
    for calls in (2, 3):
        assert books.due(mailing_id) == [message_id]
        claimed = books.claim(mailing_id, [message_id])
        assert [one.phone for one in claimed] == [OLD]
        assert books.record(decision, claimed, error, is_spent=is_spent) == 0
        due(books)
        assert books.message(message_id).calls == calls
    assert books.due(mailing_id) == [message_id]
    assert books.record(Finish(MessageState.FAILED), books.claim(mailing_id, [message_id]), Error.REJECTED) == 0
    assert phone(books, message_id) == OLD


def test_what_a_dispatcher_took_with_it_keeps_its_phone(books: Books, waiting: tuple[int, int]) -> None:
    mailing_id, message_id = waiting
    books.claim(mailing_id, [message_id], lease=-SECOND)
    assert books.rescue(10, 10) == 1
    give_new_phone(books)
    assert books.due(mailing_id) == [message_id]
    assert [one.phone for one in books.claim(mailing_id, [message_id])] == [OLD]


def test_a_change_that_could_not_reach_a_message_is_seen_at_its_claim(
    books: Books, other: Books, waiting: tuple[int, int]
) -> None:
    """Somebody has locked it at that moment. It is put back with the new phone, and is due."""
    mailing_id, message_id = waiting
    with other.engine.begin() as connection:
        connection.exec_driver_sql(f"select from messages where id = {message_id} for update")
        give_new_phone(books)
    assert phone(books, message_id) == OLD
    assert books.claim(mailing_id, [message_id]) == []
    assert (phone(books, message_id), books.states(mailing_id)) == (NEW, {"pending": 1})
    assert books.due(mailing_id) == [message_id]
    assert [one.phone for one in books.claim(mailing_id, [message_id])] == [NEW]


def test_one_phone_changes_in_all_mailings_and_in_no_final_message(books: Books) -> None:
    books._phones = 79000000000
    mailings = [books.launched(1, ends=timedelta(hours=hours)) for hours in (1, 2)]
    done, [first] = mailings[0]
    assert books.record(Finish(MessageState.FAILED), books.claim(done, [first]), Error.REJECTED) == 0
    give_new_phone(books)
    rows = books.run("select mailing_id, status, phone from messages where client_id = 1 order by 1")
    assert [tuple(row) for row in rows] == [(1, "failed", OLD), (2, "pending", NEW)]
