"""After a restore: what may have been sent since the moment that the database knows last ends as unknown."""

from datetime import timedelta

import pytest

from shared.domain.message import Error
from shared.messages.create import create_messages
from shared.messages.give_up import Lapse, Stretch, create_given_up, find_begun, find_begun_since, give_up_messages
from tests.support.books import HOUR, MINUTE, SECOND, SENT, Books

AGO = 5 * MINUTE
"""So long ago lies the moment that was restored to."""


def lapse(books: Books) -> Lapse:
    now = books.now()
    return Lapse(now - AGO, now)


def give_up(books: Books, span: int = 1000) -> int:
    """All of it; how many messages."""
    time = lapse(books)
    with books.engine.begin() as connection:
        stretches = find_begun(connection, time)
    number = 0
    for stretch in stretches:
        rest: Stretch | None = stretch
        while rest:
            done = books.move(give_up_messages, rest, time, span)
            number, rest = number + done.number, done.rest
    return number


def create(books: Books, span: int = 1000) -> int:
    """The launches that began since; how many messages."""
    time, number = lapse(books), 0
    with books.engine.begin() as connection:
        mailing_ids = find_begun_since(connection, time)
    for mailing_id in mailing_ids:
        is_complete = False
        while not is_complete:
            made, given_up = books.move(create_given_up, mailing_id, span)
            number, is_complete = number + given_up, made.complete
    return number


def test_what_waits_and_what_was_on_the_wire_is_unknown_and_what_is_final_stays(books: Books) -> None:
    mailing_id, ids = books.launched(10)
    claimed = books.claim(mailing_id, ids[:4])
    assert books.record(SENT, claimed[:2]) == 0
    assert give_up(books, span=3) == 8
    assert books.states(mailing_id) == {"sent": 2, "unknown": 8}
    row = books.message(ids[3])
    assert (row.error, row.maybe_delivered, row.claim_id, row.due_at) == ("restored", True, None, None)
    assert books.tallies(mailing_id) == {"sent": 2, "unknown": 8, "error.restored": 8}
    assert books.record(SENT, claimed[2:]) == 2, "a late result changes nothing"
    assert books.due(mailing_id) == []
    assert books.finish([mailing_id]) == [mailing_id]
    assert give_up(books) == 0, "there is nothing left"


@pytest.mark.parametrize(
    ("delay", "error", "is_given_up"),
    [
        (HOUR, Error.SERVER_ERROR, False),  # nobody can have called it
        (HOUR, Error.PROVIDER_DOWN, True),  # it may have been woken when the outage was over
        (SECOND, Error.SERVER_ERROR, True),
    ],
)
def test_what_waits_for_its_rung(books: Books, delay: timedelta, error: Error, is_given_up: bool) -> None:
    mailing_id, message_id = books.retrying(delay, error)
    if delay == SECOND:
        books.run("update messages set due_at = now() where id = :id", id=message_id)
    assert give_up(books) == is_given_up
    assert books.states(mailing_id) == {"unknown" if is_given_up else "retrying": 1}


def test_who_waits_for_their_hours_still_does(books: Books) -> None:
    """Night where they are: between four and five hours from now it ends."""
    now = books.now()
    window = (f"{now + 4 * HOUR:%H:00}", f"{now + 5 * HOUR:%H:00}")
    books.clients(3, timezone="UTC")
    mailing_id = books.mailing(window=window, ends=24 * HOUR)
    books.launch(mailing_id)
    assert give_up(books) == 0
    assert books.states(mailing_id) == {"pending": 3}


def test_of_a_mailing_that_was_over_then_only_what_was_on_the_wire(books: Books) -> None:
    mailing_id, ids = books.launched(3)
    books.claim(mailing_id, ids[:1])
    books.run("update mailings set starts_at = now() - interval '1 hour', ends_at = now() - interval '6 minutes'")
    assert give_up(books) == 1
    assert books.states(mailing_id) == {"unknown": 1, "pending": 2}


def test_one_that_was_paused_may_have_been_resumed(books: Books) -> None:
    mailing_id, _ = books.launched(2)
    books.run("update mailings set paused_at = now()")
    assert give_up(books) == 2
    assert books.states(mailing_id) == {"unknown": 2}


@pytest.mark.parametrize("ends", [HOUR, -MINUTE])
def test_a_mailing_that_was_launched_since_is_created_as_unknown(books: Books, ends: timedelta) -> None:
    """Also one that has ended since: `expired` would say that nobody got it. What others have is left alone."""
    other = books.mailing()
    books.clients(3)
    books.launch(other)
    books.clients(7)
    mailing_id = books.mailing(starts=-2 * MINUTE, ends=ends)
    coming = books.mailing(starts=HOUR, ends=2 * HOUR)
    assert create(books, span=3) == 10
    assert books.states(mailing_id) == {"unknown": 10}
    assert books.tallies(mailing_id) == {"unknown": 10, "error.restored": 10}
    assert books.states(coming) == {}, "nobody has launched it"
    assert books.states(other) == {"pending": 3}
    assert create(books) == 0
    assert books.finish([mailing_id]) == [mailing_id]


def test_a_launch_that_was_under_way_goes_on_so(books: Books) -> None:
    """Behind ids that are far away by then, and behind those of others."""
    books.clients(7)
    mailing_id = books.mailing(starts=-MINUTE)
    assert not books.move(create_messages, mailing_id, 3).complete
    other = books.mailing(starts=-MINUTE)
    books.launch(other)
    assert give_up(books) == 3 + 7
    books.run("select setval('message_ids', 1700000000000000)")
    assert create(books, span=3) == 4
    assert books.states(mailing_id) == {"unknown": 7}


def test_a_draft_and_a_cancelled_one_are_left_alone(books: Books) -> None:
    books.clients(2)
    for change in ("draft = true, paused_at = now(), closed_at = now()", "cancelled_at = now()"):
        mailing_id = books.mailing()
        books.run(f"update mailings set {change} where id = :id", id=mailing_id)
    assert create(books) == 0
