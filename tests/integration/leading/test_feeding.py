"""Whatever makes a message due, and however late that becomes visible, the next job names it within a second."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher_service.leading.cursor import LOOK_BACK
from shared.domain.due import Group
from shared.domain.job import Urgency
from shared.domain.retry import HandBack
from shared.ledger.entries import open_entries
from shared.messages import due as due_module
from shared.messages.due import Read
from shared.messages.record import Verdict, record_verdicts
from tests.support.books import SECOND, Books
from tests.support.leading import Consumer, Start
from tests.support.waiting import patience

SOON, NOT_SOON = 4.0, 9.0
"""Seconds. It takes one; without looks it would be ten or thirty, on any machine."""

AT_ONCE = timedelta(0)


def job_with(consumer: Consumer, ids: set[int], within: float = SOON) -> float:
    """Seconds until jobs have named all of these."""
    since = time.monotonic()
    until = since + patience(within, at_most=max(within, NOT_SOON))
    left = set(ids)
    while left:
        rest = until - time.monotonic()
        assert rest > 0, f"no job names {left}"
        if job := consumer.job(rest):
            left -= set(job.message_ids)
    return time.monotonic() - since


@pytest.fixture
def running(books: Books, start: Start, consumer: Consumer) -> tuple[int, list[int]]:
    """A mailing of ten messages of which the leader has published all, and its cursor has passed them."""
    mailing_id, ids = books.launched(10)
    start()
    job_with(consumer, set(ids), within=15)
    return mailing_id, ids


def test_what_is_put_back(books: Books, consumer: Consumer, running: tuple[int, list[int]]) -> None:
    mailing_id, ids = running
    claimed = books.claim(mailing_id, ids[:5])
    assert books.move(record_verdicts, [Verdict(message, HandBack()) for message in claimed], AT_ONCE) == 0
    job_with(consumer, set(ids[:5]))


def test_what_is_put_back_by_a_transaction_that_took_long(
    books: Books, other: Books, consumer: Consumer, running: tuple[int, list[int]]
) -> None:
    """It is due since its beginning. Another slice is due since then, and the cursor has passed that."""
    mailing_id, ids = running
    verdicts = [Verdict(message, HandBack()) for message in books.claim(mailing_id, ids[:5])]
    with other.engine.begin() as connection:
        connection.exec_driver_sql("select now()")
        time.sleep(1.5)
        books.run("update messages set due_at = now() where id = :id", id=ids[9])
        job_with(consumer, {ids[9]})
        with open_entries(connection, 7) as entries:
            record_verdicts(connection, entries, verdicts, AT_ONCE)
    assert books.message(ids[0]).due_at < books.message(ids[9]).due_at
    job_with(consumer, set(ids[:5]))


def test_a_new_slice(books: Books, consumer: Consumer, running: tuple[int, list[int]]) -> None:
    mailing_id, ids = running
    books.claim(mailing_id, ids[:5])
    new = books.clients(3)
    books.run("update mailings set launched_at = null, audience_limit = null where id = :id", id=mailing_id)
    books.launch(mailing_id)
    rows = books.run("select id from messages where client_id = any(:clients)", clients=new)
    job_with(consumer, {row.id for row in rows})


def test_after_a_resume(books: Books, consumer: Consumer, running: tuple[int, list[int]]) -> None:
    """What dispatchers let go while it was paused was published a moment ago, and comes again."""
    mailing_id, ids = running
    books.run("update mailings set paused_at = now() where id = :id", id=mailing_id)
    assert books.claim(mailing_id, ids) == []
    books.run("update mailings set paused_at = null where id = :id", id=mailing_id)
    books.move(lambda _, entries: entries.look(mailing_id))
    job_with(consumer, set(ids))


def test_after_the_clock_of_the_database_went_back(
    books: Books, start: Start, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By more than a look goes back."""
    step = LOOK_BACK + 25 * SECOND
    ahead = step
    real: Callable[..., Read] = due_module.read_due

    def read(*args: Any) -> Read:
        found = real(*args)
        groups = {number: [Group(one.due_at + ahead, one.ids) for one in some] for number, some in found.groups.items()}
        return Read(found.now + ahead, groups)

    monkeypatch.setattr("dispatcher_service.leading.feed.read_due", read)
    mailing_id, ids = books.launched(10)
    start()
    job_with(consumer, set(ids), within=15)
    ahead = AT_ONCE
    claimed = books.claim(mailing_id, ids[:5])
    assert books.move(record_verdicts, [Verdict(message, HandBack()) for message in claimed], AT_ONCE) == 0
    job_with(consumer, set(ids[:5]))


def test_the_tenth_of_those_that_end_later_and_the_share_of_classes(
    books: Books, start: Start, consumer: Consumer
) -> None:
    """Twenty behind a huge one that ends first, and two urgent ones: of the first thousand messages some are theirs."""
    huge, _ = books.launched(5_000)
    books.clients(20, tag="few")
    later = books.mailing(ends=timedelta(hours=9), tags=["few"])
    urgent = books.mailing(ends=timedelta(hours=9), tags=["few"])
    books.run("update mailings set priority = 'urgent' where id = :id", id=urgent)
    for mailing_id in (later, urgent):
        books.launch(mailing_id)
    start()
    seen: list[int] = []
    urgencies: dict[int, list[Urgency]] = {huge: [], later: [], urgent: []}
    while len(seen) < 1_200:
        [job] = consumer.jobs(1)
        seen += [job.mailing_id] * len(job.message_ids)
        urgencies[job.mailing_id].append(job.urgency)
    assert seen.count(urgent) == seen.count(later) == 20
    assert seen.index(urgent) < seen.index(huge)
    # Nor does what is more urgent pass by those whose turn it is when a dispatcher has both in hand.
    assert min(urgencies[later]) < max(urgencies[huge])
