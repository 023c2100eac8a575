"""Each move of a message, on a real database: what it changes, what it leaves alone, and who wins a race."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from dispatcher_service.leading.walk import due_mailings
from shared.database.engine import make_engine
from shared.domain.due import Position
from shared.domain.message import Error, MessageState
from shared.domain.retry import Decision, Finish, HandBack, Outcome, OutcomeKind, Retry, RetryPolicy, Tried
from shared.ledger.entries import Entries, open_entries
from shared.ledger.figures import read_figures
from shared.messages.cancel import cancel_client
from shared.messages.claim import claim_messages
from shared.messages.close import close_messages
from shared.messages.create import Slice, create_messages
from shared.messages.due import Wanted, read_due
from shared.messages.record import Verdict, record_verdicts
from shared.messages.rescue import Lost, find_lost, rescue_messages
from shared.messages.retime import retime_messages
from tests.support.books import FAILED, HOUR, LEASE, MINUTE, SECOND, SENT, Books
from tests.support.plans import planned
from tests.support.waiting import wait_until


def local_time(timezone: str, offset: timedelta) -> str:
    """The wall clock of a zone, so long from now."""
    return (datetime.now(UTC) + offset).astimezone(ZoneInfo(timezone)).strftime("%H:%M:%S")


def closed_window(timezone: str = "Europe/Moscow") -> tuple[str, str]:
    return local_time(timezone, HOUR), local_time(timezone, 2 * HOUR)


def open_window(timezone: str = "Europe/Moscow") -> tuple[str, str]:
    return local_time(timezone, -HOUR), local_time(timezone, HOUR)


# ---------------------------------------------------------------- launch


def test_a_launch_makes_one_pending_message_for_every_client_that_matches_both_filters(books: Books) -> None:
    wanted = books.clients(3, operator_code="912", tag="vip") + books.clients(2, operator_code="913", tag="vip")
    books.clients(2, operator_code="912", tag="other")
    books.clients(2, operator_code="999", tag="vip")
    mailing_id = books.mailing(operator_codes=["912", "913"], tags=["vip", "new"])

    books.launch(mailing_id)

    rows = books.run("select client_id, status, due_at <= now() as due from messages order by id")
    assert [row.client_id for row in rows] == wanted
    assert {(row.status, row.due) for row in rows} == {("pending", True)}


def test_a_launch_to_nobody_is_complete(books: Books) -> None:
    mailing_id = books.mailing(tags=["nobody"])
    assert books.launch(mailing_id) == 1
    assert books.run("select launched_at from mailings")[0].launched_at is not None


@pytest.mark.parametrize(("clients", "slices"), [(9, 4), (10, 4), (8, 3), (1, 1)])
def test_a_launch_goes_in_slices(books: Books, clients: int, slices: int) -> None:
    books.clients(clients)
    mailing_id = books.mailing()
    assert books.launch(mailing_id, limit=3) == slices
    assert books.states(mailing_id) == {"pending": clients}
    assert books.move(create_messages, mailing_id, 3).count == 0


def test_a_slice_looks_at_no_more_clients_than_it_is_told_whoever_matches(books: Books) -> None:
    """Holes in the ids cost nothing, and the cursor moves on where nobody matches."""
    ids = books.clients(100)
    books.run("delete from clients where id between :first and :last", first=ids[10], last=ids[89])
    books.clients(1, tag="one")
    nobody, one = books.mailing(tags=["nobody"]), books.mailing(tags=["one"])
    assert books.move(create_messages, nobody, 15) == Slice(0, complete=False, part=1)
    [row] = books.run("select audience_cursor, launched_at from mailings where id = :id", id=nobody)
    assert (row.audience_cursor, row.launched_at) == (ids[94], None)
    assert books.launch(nobody, 15) == 1
    assert [books.move(create_messages, one, 15).count for _ in range(3)] == [0, 1, 0]


def test_a_launch_goes_on_where_a_killed_process_left_it(books: Books, other: Books) -> None:
    books.clients(10)
    mailing_id = books.mailing()
    books.move(create_messages, mailing_id, 4)
    with books.engine.connect() as connection:  # dies with a slice made and not committed
        transaction = connection.begin()
        assert create_messages(connection, Entries(), mailing_id, 4).count == 4
        other.run("select pg_terminate_backend(:pid)", pid=connection.scalar(text("select pg_backend_pid()")))
        with pytest.raises(DBAPIError):
            transaction.commit()
        connection.invalidate()
    assert books.states(mailing_id) == {"pending": 4}

    other.launch(mailing_id, limit=4)

    assert books.states(mailing_id) == {"pending": 10}
    assert books.run("select count(distinct client_id) as number from messages")[0].number == 10


def test_the_audience_is_a_snapshot(books: Books) -> None:
    first = books.clients(6)
    mailing_id = books.mailing()
    books.move(create_messages, mailing_id, 2)
    books.clients(3)
    books.run("delete from clients where id = :id", id=first[5])

    books.launch(mailing_id, limit=2)

    assert [row.client_id for row in books.run("select client_id from messages order by id")] == first[:5]


def test_a_launch_after_the_end_shows_who_was_not_reached(books: Books) -> None:
    mailing_id, ids = books.launched(3, starts=-HOUR, ends=-SECOND)
    assert books.states(mailing_id) == {"expired": 3}
    assert books.tallies(mailing_id) == {"expired": 3}
    assert books.due(mailing_id) == []
    assert books.claim(mailing_id, ids) == []


@pytest.mark.parametrize("change", ["starts_at = now() + interval '1 h', ends_at = now() + interval '2 h'",
                                    "cancelled_at = now()"])  # fmt: skip
def test_nothing_is_launched_before_the_start_or_after_a_cancel(books: Books, change: str) -> None:
    books.clients(3)
    mailing_id = books.mailing()
    books.run(f"update mailings set {change}")
    assert books.move(create_messages, mailing_id, 10).count == 0
    assert books.states(mailing_id) == {}


def test_two_launches_at_the_same_time_make_no_message_twice(books: Books, other: Books) -> None:
    books.clients(500)
    mailing_id = books.mailing()
    with ThreadPoolExecutor(2) as pool:
        for launch in [pool.submit(each.launch, mailing_id, 7) for each in (books, other)]:
            launch.result()
    assert books.states(mailing_id) == {"pending": 500}


# ---------------------------------------------------------------- what is due


def test_what_is_due_is_read_oldest_first(books: Books) -> None:
    mailing_id, ids = books.launched(6)
    books.run("update messages set due_at = now() - interval '1 h' where id = any(:ids)", ids=[ids[4], ids[2]])
    books.run("update messages set due_at = now() + interval '1 h' where id = :id", id=ids[0])
    assert books.due(mailing_id, limit=2) == [ids[2], ids[4]]
    assert books.due(mailing_id) == [ids[2], ids[4], ids[1], ids[3], ids[5]]
    assert books.states(mailing_id) == {"pending": 6}, "nothing is written for that"


def test_of_several_lanes_each_is_read_behind_its_position_and_not_beyond_its_limit(books: Books) -> None:
    (one, ids), (two, more), (three, rest) = (books.launched(4) for _ in range(3))
    [(due_at,)] = books.run("select due_at from messages where id = :id", id=ids[0])
    wanted = [Wanted(two, 0, 2, None), Wanted(one, 0, 9, Position(due_at, ids[1])), Wanted(three, 0, 9, None)]
    with books.engine.begin() as connection:
        read = read_due(connection, 1, wanted, 5)
    found = {number: [each for group in groups for each in group.ids] for number, groups in read.groups.items()}
    assert found == {0: more[:2], 1: ids[2:], 2: rest[:1]}
    assert read.size == 5


def test_a_retry_is_due_when_its_rung_has_passed(books: Books) -> None:
    mailing_id, message_id = books.retrying(5 * SECOND)
    assert books.due(mailing_id) == []
    books.run("update messages set due_at = now()")
    assert books.due(mailing_id) == [message_id]


def test_those_whose_window_is_closed_are_due_at_its_opening_from_the_start(books: Books) -> None:
    books.clients(2, timezone="Europe/Moscow")
    books.clients(1, timezone="Asia/Omsk")  # three hours ahead of Moscow
    books.clients(1, timezone="America/New_York")
    mailing_id = books.mailing(window=open_window("Asia/Omsk"))
    books.launch(mailing_id)
    ids = books.ids(mailing_id)

    assert books.due(mailing_id) == [ids[2]]

    now = books.now()
    moscow, _, _, new_york = (books.message(message_id) for message_id in ids)
    assert moscow.status == new_york.status == "pending"
    assert abs(moscow.due_at - (now + 2 * HOUR)) < MINUTE
    assert new_york.due_at > moscow.due_at


def test_a_message_goes_at_the_very_opening_of_its_window_and_not_before(books: Books) -> None:
    opening = (books.now() + 4 * SECOND).replace(microsecond=0)
    edge = opening.astimezone(ZoneInfo("Europe/Moscow")).strftime("%H:%M:%S")
    mailing_id, ids = books.launched(1, window=(edge, local_time("Europe/Moscow", HOUR)))
    assert books.claim(mailing_id, ids) == []
    assert books.message(ids[0]).due_at == opening
    [message] = wait_until(lambda: books.claim(mailing_id, ids))
    assert opening <= books.message(message.id).due_at - LEASE < opening + 5 * SECOND


def test_a_change_of_the_window_times_waiting_messages_anew(books: Books) -> None:
    """Slice by slice, each message with one write; of what waits for the right moment nothing is written."""
    mailing_id, ids = books.launched(5, window=closed_window())
    assert books.due(mailing_id) == []
    start, end = open_window()
    books.run("update mailings set window_from = :start, window_until = :end", start=start, end=end)
    assert books.due(mailing_id) == []
    first = books.move(retime_messages, mailing_id, 3)
    assert (first.number, first.complete) == (3, False)
    second = books.move(retime_messages, mailing_id, 3, first)
    assert (second.number, second.complete) == (2, True)
    assert books.due(mailing_id) == ids
    assert len(books.claim(mailing_id, ids)) == 5


def test_a_launch_in_whose_middle_ids_were_set_ahead_is_timed_anew_all_the_same(books: Books) -> None:
    """As after a restore."""
    mailing_id, ids = books.launched(4, window=closed_window())
    books.run("update messages set id = id + 1000000000000 where id > :last", last=ids[1])
    books.run("update mailings set last_message_id = :last", last=ids[3] + 10**12)
    start, end = open_window()
    books.run("update mailings set window_from = :start, window_until = :end", start=start, end=end)
    first = books.move(retime_messages, mailing_id, 3)
    second = books.move(retime_messages, mailing_id, 3, first)
    assert (first.number, second.number, second.complete) == (3, 1, True)


def test_what_waits_for_another_opening_now_is_written_once(books: Books) -> None:
    mailing_id, ids = books.launched(5, ends=20 * HOUR, window=(moscow(HOUR), moscow(2 * HOUR)))
    books.claim(mailing_id, ids)

    def change(hours: int) -> None:
        books.run(
            "update mailings set window_from = :start, window_until = :end",
            start=moscow(hours * HOUR),
            end=moscow((hours + 1) * HOUR),
        )

    change(5)
    began = books.move(retime_messages, mailing_id, 3)
    change(7)
    done = books.move(retime_messages, mailing_id, 10, began)
    assert (done.number, done.complete) == (5, True), "another window: from the first one on"
    now = books.now()
    rows = books.run("select due_at, xmin::text as version from messages order by id")
    assert {abs(row.due_at - now - 7 * HOUR) < MINUTE for row in rows} == {True}
    assert books.move(retime_messages, mailing_id, 10) == replace(done, number=0)
    assert books.run("select due_at, xmin::text as version from messages order by id") == rows


def moscow(offset: timedelta) -> str:
    """What a clock in Moscow will show."""
    return local_time("Europe/Moscow", offset)


# ---------------------------------------------------------------- claim


def test_a_claim_gives_all_that_a_call_needs(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    ends_at = books.run("select ends_at from mailings")[0].ends_at
    phones = [row.phone for row in books.run("select phone from clients order by id")]

    claimed = books.claim(mailing_id, ids)

    assert [message.id for message in claimed] == ids
    assert [message.phone for message in claimed] == phones
    for message in claimed:
        assert (message.mailing_id, message.text, message.attempts, message.repeat) == (mailing_id, "Hello", 0, False)
        assert message.ends_at == message.deadline == ends_at
        row = books.message(message.id)
        assert (row.status, row.claim_id, row.client_id) == ("sending", message.claim_id, message.client_id)
        assert abs(row.due_at - books.now() - LEASE) < 10 * SECOND


def test_only_what_waits_and_is_due_is_claimed(books: Books) -> None:
    mailing_id, ids = books.launched(4)
    stranger, strange = books.launched(1)
    sent, leased, waiting, free = ids
    books.record(SENT, books.claim(mailing_id, [sent]))
    books.claim(mailing_id, [leased])
    books.run("update messages set due_at = now() + interval '1 s' where id = :id", id=waiting)
    before = [books.message(message_id) for message_id in (sent, leased, waiting, *strange)]

    claimed = books.claim(mailing_id, [*ids, *strange, free, 10**12])

    assert [message.id for message in claimed] == [free]
    assert [books.message(message_id) for message_id in (sent, leased, waiting, *strange)] == before
    assert books.claim(10**12, ids) == []
    assert books.claim(stranger, ids) == []


@pytest.mark.parametrize("change", ["paused_at = now()", "cancelled_at = now()", "ends_at = now()"])
def test_nothing_is_claimed_from_a_mailing_that_is_paused_cancelled_or_over(books: Books, change: str) -> None:
    """Nor written: the messages are as they were."""
    mailing_id, ids = books.launched(3)
    before = [books.message(message_id) for message_id in ids]
    books.run(f"update mailings set {change}")
    assert books.claim(mailing_id, ids) == []
    assert [books.message(message_id) for message_id in ids] == before


def test_one_claim_takes_the_messages_of_many_mailings(books: Books) -> None:
    """Each as it is for its own mailing: with or without a window, in whatever part, running or not."""
    start, end = open_window()
    plain, other, open_, closed, paused = (
        books.launched(3)[0], books.launched(2)[0], books.launched(3, window=(start, end))[0],
        books.launched(3)[0], books.launched(3)[0],
    )  # fmt: skip
    start, end = closed_window()
    books.run("update mailings set window_from = :start, window_until = :end where id = :id",
              start=start, end=end, id=closed)  # fmt: skip
    books.run("update mailings set paused_at = now() where id = :id", id=paused)
    books.run("update mailings set text = 'Other' where id = :id", id=other)
    job = {mailing_id: books.ids(mailing_id) for mailing_id in (plain, other, open_, closed, paused, 10**12)}
    claim = books.move(claim_messages, job, lease=LEASE)
    assert claim is not None
    by_mailing: dict[int, list[int]] = {}
    for message in claim.messages:
        assert message.text == ("Other" if message.mailing_id == other else "Hello")
        assert message.claim_id == claim.messages[0].claim_id
        by_mailing.setdefault(message.mailing_id, []).append(message.id)
    assert by_mailing == {mailing_id: job[mailing_id] for mailing_id in (plain, other, open_)}
    for mailing_id in (closed, paused):
        assert books.states(mailing_id) == {"pending": len(job[mailing_id])}
    assert books.due(closed) == []
    assert books.due(paused) == []
    books.run("update mailings set paused_at = null where id = :id", id=paused)
    assert books.due(paused) == job[paused]


def test_a_retry_is_claimed_when_its_rung_has_passed(books: Books) -> None:
    mailing_id, message_id = books.retrying(SECOND, Error.SERVER_ERROR)
    assert books.claim(mailing_id, [message_id]) == []
    claimed = wait_until(lambda: books.claim(mailing_id, [message_id]))
    assert claimed[0].attempts == 1


@pytest.mark.parametrize("when", ["running", "paused", "window closed"])
def test_an_older_job_for_the_same_message_does_not_shorten_its_rung(books: Books, when: str) -> None:
    mailing_id, message_id = books.retrying(2 * HOUR)
    if when == "paused":
        books.run("update mailings set paused_at = now()")
    if when == "window closed":
        start, end = closed_window()
        books.run("update mailings set window_from = :start, window_until = :end", start=start, end=end)
    before = books.message(message_id)

    assert books.claim(mailing_id, [message_id]) == []

    assert books.message(message_id) == before


def test_messages_of_clients_who_were_deleted_are_cancelled(books: Books) -> None:
    mailing_id, ids = books.launched(3)
    books.run("delete from clients where id = :id", id=books.message(ids[1]).client_id)
    assert [message.id for message in books.claim(mailing_id, ids)] == [ids[0], ids[2]]
    assert books.message(ids[1]).status == "cancelled"


def test_a_deleted_client_who_may_have_got_the_message_is_unknown(books: Books) -> None:
    mailing_id, message_id = books.retrying(timedelta(0), Error.TIMED_OUT)
    books.run("delete from clients")
    assert books.claim(mailing_id, [message_id]) == []
    assert books.message(message_id).status == "unknown"


def test_a_claim_outside_the_window_puts_the_message_off_until_the_opening(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    start, end = closed_window()
    books.run("update mailings set window_from = :start, window_until = :end", start=start, end=end)
    assert books.claim(mailing_id, ids) == []
    for message_id in ids:
        row = books.message(message_id)
        assert row.status == "pending"
        assert abs(row.due_at - books.now() - HOUR) < MINUTE


@pytest.mark.parametrize("moment", ["select distinct c.timezone", "set status = 'pending'"])
def test_a_window_that_changes_while_a_claim_puts_off_leaves_nothing_to_wait_for_the_old_one(
    books: Books, books_url: str, moment: str
) -> None:
    """It changes, and all messages are timed anew, before that statement of the claim, or after its end."""
    mailing_id, ids = books.launched(2)
    start, end = closed_window()
    books.run("update mailings set window_from = :start, window_until = :end", start=start, end=end)
    engine = make_engine(books_url, "changer", pool_size=1)
    blocked = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

    def change() -> None:
        changer = Books(engine, slot=2)
        changer.run("update mailings set window_from = null, window_until = null")
        changer.move(retime_messages, mailing_id, 100)

    thread = threading.Thread(target=change)

    def interfere(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if moment in statement and not thread.ident:
            thread.start()
            wait_until(lambda: not thread.is_alive() or books.run(blocked)[0][0])

    event.listen(books.engine, "before_cursor_execute", interfere)
    try:
        assert books.claim(mailing_id, ids) == []
    finally:
        event.remove(books.engine, "before_cursor_execute", interfere)
    thread.join(10)
    assert not thread.is_alive()
    engine.dispose()
    assert books.due(mailing_id) == ids


def test_the_deadline_is_the_closing_of_the_clients_window_or_the_end_of_the_mailing(books: Books) -> None:
    books.clients(1, timezone="Europe/Moscow")
    mailing_id = books.mailing(ends=2 * HOUR, window=open_window())
    books.launch(mailing_id)
    [message] = books.claim(mailing_id, books.ids(mailing_id))
    assert abs(message.deadline - books.now() - HOUR) < MINUTE
    assert message.ends_at > message.deadline
    books.record(HandBack(), [message])
    books.run("update mailings set ends_at = now() + interval '1 min'")
    books.run("update messages set due_at = now()")
    [message] = books.claim(mailing_id, books.ids(mailing_id))
    assert message.deadline == message.ends_at


@pytest.mark.parametrize(("error", "repeat"), [(Error.TIMED_OUT, True), (Error.CONNECTION_LOST, True),
                                               (Error.LEASE_LOST, True), (Error.SERVER_ERROR, False)])  # fmt: skip
def test_a_claim_tells_whether_the_provider_may_have_the_message_already(
    books: Books, error: Error, repeat: bool
) -> None:
    mailing_id, message_id = books.retrying(timedelta(0), error)
    [message] = books.claim(mailing_id, [message_id])
    assert (message.attempts, message.repeat) == (1, repeat)


def test_of_two_who_claim_the_same_job_each_message_has_one(books: Books, other: Books) -> None:
    mailing_id, ids = books.launched(2000)
    barrier = threading.Barrier(2)

    def claim(each: Books) -> list[int]:
        barrier.wait()
        jobs = (ids[start : start + 50] for start in range(0, len(ids), 50))
        return [message.id for job in jobs for message in each.claim(mailing_id, job)]

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(claim, (books, other))
    assert sorted(one + two) == ids
    assert books.states(mailing_id) == {"sending": 2000}


def test_a_message_that_somebody_else_has_locked_is_left_to_him(books: Books, other: Books) -> None:
    mailing_id, ids = books.launched(3)
    with other.engine.begin() as connection:
        connection.execute(text("select from messages where id = :id for update"), {"id": ids[1]})
        assert [message.id for message in books.claim(mailing_id, ids)] == [ids[0], ids[2]]  # does not wait
    assert books.message(ids[1]).status == "pending"


# ---------------------------------------------------------------- record


def test_a_message_that_was_sent(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    assert books.record(SENT, books.claim(mailing_id, ids)) == 0
    for message_id in ids:
        row = books.message(message_id)
        assert (row.status, row.attempts, row.error, row.due_at) == ("sent", 1, None, None)
        assert books.now() - row.sent_at < 10 * SECOND
    with books.engine.connect() as connection:
        figures = read_figures(connection, [mailing_id])[mailing_id]
    assert figures.first_sent_at == figures.last_sent_at == books.message(ids[0]).sent_at


@pytest.mark.parametrize("state", [MessageState.FAILED, MessageState.UNKNOWN, MessageState.EXPIRED])
def test_a_message_that_was_given_up(books: Books, state: MessageState) -> None:
    mailing_id, ids = books.launched(1)
    assert books.record(Finish(state), books.claim(mailing_id, ids), Error.REJECTED) == 0
    row = books.message(ids[0])
    assert (row.status, row.attempts, row.error, row.due_at, row.sent_at) == (state, 1, "rejected", None, None)
    assert books.tallies(mailing_id) == {state: 1, "error.rejected": 1}


def test_a_message_that_is_to_be_retried(books: Books) -> None:
    mailing_id, message_id = books.retrying(MINUTE, Error.SERVER_ERROR)
    row = books.message(message_id)
    assert (row.status, row.attempts, row.error) == ("retrying", 1, "server_error")
    assert abs(row.due_at - books.now() - MINUTE) < 10 * SECOND
    assert books.tallies(mailing_id) == {"error.server_error": 1}


def test_a_message_that_is_handed_back_has_spent_no_attempt(books: Books) -> None:
    mailing_id, ids = books.launched(1)
    [message] = books.claim(mailing_id, ids)
    verdict = Verdict(message, HandBack(), Error.UNAUTHORIZED, is_spent=False)
    assert books.move(record_verdicts, [verdict], MINUTE) == 0
    row = books.message(ids[0])
    assert (row.status, row.calls, row.attempts, row.error) == ("pending", 1, 0, "provider_down")
    assert abs(row.due_at - books.now() - MINUTE) < 10 * SECOND
    assert books.tallies(mailing_id) == {"error.unauthorized": 1}


def test_a_batch_of_every_kind_over_several_mailings(books: Books) -> None:
    one, ids = books.launched(5)
    two, more = books.launched(5)
    claimed = [*books.claim(one, ids), *books.claim(two, more[:5])]
    decisions: list[tuple[Decision, Error | None]] = [
        (SENT, None), (FAILED, Error.REJECTED), (Retry(MINUTE), Error.TIMED_OUT), (HandBack(), None), (SENT, None),
    ]  # fmt: skip
    verdicts = [Verdict(message, *decisions[number % 5]) for number, message in enumerate(claimed)]
    assert books.move(record_verdicts, verdicts[::-1], MINUTE) == 0
    for mailing_id, unclaimed in ((one, 0), (two, 5)):
        assert books.states(mailing_id) == {"sent": 2, "failed": 1, "retrying": 1, "pending": 1 + unclaimed}
        assert books.tallies(mailing_id) == {"sent": 2, "failed": 1, "error.rejected": 1, "error.timed_out": 1}


@pytest.mark.parametrize("decision", [SENT, FAILED, Retry(MINUTE), HandBack()])
def test_a_verdict_that_comes_too_late_or_twice_changes_nothing(books: Books, decision: Any) -> None:
    mailing_id, ids = books.launched(3)
    claimed = books.claim(mailing_id, ids, lease=timedelta(0))
    assert books.rescue(10, 2) == 2
    before = [books.message(message_id) for message_id in ids[:2]]
    assert books.record(decision, claimed, Error.SERVER_ERROR) == 2
    assert [books.message(message_id) for message_id in ids[:2]] == before
    once = books.message(ids[2])
    assert books.record(decision, claimed, Error.SERVER_ERROR) == 3
    assert books.message(ids[2]) == once


def test_a_late_verdict_does_not_pass_for_one_of_the_newer_claim_it_is_written_with(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    old = books.claim(mailing_id, ids, lease=timedelta(0))
    books.rescue(10, 100)
    new = books.claim(mailing_id, books.ids(mailing_id))

    late = books.record(Retry(MINUTE), [old[0], new[1]], Error.TIMED_OUT)  # the same dispatcher has both

    assert late == 1
    row = books.message(ids[0])
    assert (row.status, row.claim_id) == ("sending", new[0].claim_id)
    assert books.record(SENT, [new[0]]) == 0


def test_tallies_are_kept_by_the_quarter_of_an_hour(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    books.record(SENT, books.claim(mailing_id, ids))
    [row] = books.run("select quarter, name, count as number from tallies where mailing_id = :id", id=mailing_id)
    assert (row.name, row.number) == ("sent", 2)
    assert row.quarter.minute % 15 == row.quarter.second == row.quarter.microsecond == 0
    assert timedelta(0) <= books.now() - row.quarter <= timedelta(minutes=16)


def test_what_is_written_late_is_counted_where_it_happened(books: Books) -> None:
    """Answers of different times, in one transaction, one of them without a time of its own."""
    mailing_id, ids = books.launched(5)
    now = books.now()
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    moments = [quarter - 31 * MINUTE, quarter - 16 * MINUTE, quarter - 29 * MINUTE, quarter, None]
    verdicts = [
        Verdict(message, FAILED if number == 1 else SENT, Error.REJECTED if number == 1 else None, at=at)
        for number, (message, at) in enumerate(zip(books.claim(mailing_id, ids), moments, strict=True))
    ]
    assert books.move(record_verdicts, verdicts, SECOND) == 0

    rows = books.run("select quarter, name, sum(count) as number from tallies group by 1, 2 order by 1, 2")
    *earlier, (last_quarter, last_name, last_number) = rows
    assert earlier == [
        (quarter - 45 * MINUTE, "sent", 1),
        (quarter - 30 * MINUTE, "error.rejected", 1),
        (quarter - 30 * MINUTE, "failed", 1),
        (quarter - 30 * MINUTE, "sent", 1),
        *([(quarter, "sent", 1)] if last_quarter > quarter else []),  # it began while this test ran
    ]
    assert (last_name, last_number) == ("sent", 2 if last_quarter == quarter else 1)
    assert [books.message(message_id).sent_at for message_id in ids[:4]] == [moments[0], None, moments[2], moments[3]]
    with books.engine.connect() as connection:
        figures = read_figures(connection, [mailing_id])[mailing_id]
    assert figures.first_sent_at == moments[0]
    assert figures.last_sent_at == books.message(ids[4]).sent_at >= now

    later, more = books.launched(1)
    assert books.record(SENT, books.claim(later, more)) == 0
    with books.engine.connect() as connection:
        assert read_figures(connection, [later])[later].first_sent_at == books.message(more[0]).sent_at


# ---------------------------------------------------------------- rescue, close, and the others


def test_a_lease_that_ran_out_costs_an_attempt(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    [held] = books.claim(mailing_id, ids[:1])
    books.claim(mailing_id, ids[1:], lease=timedelta(0))
    assert books.rescue(10, 100) == 1
    row = books.message(ids[1])
    assert (row.status, row.attempts, row.error) == ("pending", 1, "lease_lost")
    assert books.message(held.id).status == "sending"
    assert books.due(mailing_id) == [ids[1]]
    assert books.tallies(mailing_id) == {"error.lease_lost": 1}


def test_a_lease_that_ran_out_with_the_last_attempt_is_unknown(books: Books) -> None:
    mailing_id, ids = books.launched(1)
    books.claim(mailing_id, ids, lease=timedelta(0))
    assert books.rescue(1, 100) == 1
    assert books.message(ids[0]).status == "unknown"


@pytest.mark.parametrize("change", ["cancelled_at = now()", "ends_at = now()"])
def test_a_lease_that_ran_out_after_the_end_is_unknown(books: Books, change: str) -> None:
    mailing_id, ids = books.launched(1)
    books.claim(mailing_id, ids, lease=timedelta(0))
    books.run(f"update mailings set {change}")
    books.rescue(10, 100)
    assert books.states(mailing_id) == {"unknown": 1}


@pytest.mark.parametrize("lost", ["answer", "lease"])
@pytest.mark.parametrize("end", ["expired", "cancelled", "client deleted", "client gone", "refused"])
def test_what_any_call_may_have_delivered_ends_as_unknown_whatever_came_after(
    books: Books, lost: str, end: str
) -> None:
    mailing_id, ids = books.launched(1)
    if lost == "answer":
        books.record(Retry(timedelta(0)), books.claim(mailing_id, ids), Error.TIMED_OUT)
    else:
        books.claim(mailing_id, ids, lease=timedelta(0))
        assert books.rescue(10, 100) == 1
    books.record(Retry(timedelta(0)), books.claim(mailing_id, ids), Error.SERVER_ERROR)
    assert books.message(ids[0]).maybe_delivered
    match end:
        case "expired" | "cancelled":
            assert books.move(close_messages, mailing_id, MessageState(end), 10) == 1
        case "client deleted":
            books.move(cancel_client, books.message(ids[0]).client_id)
        case "client gone":
            books.run("delete from clients")
            assert books.claim(mailing_id, ids) == []
        case "refused":
            [message] = books.claim(mailing_id, ids)
            assert message.repeat
            outcome = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
            decision = RetryPolicy().decide(outcome, Tried(3, 3, 60.0, message.repeat), left=3600.0)
            assert books.record(decision, [message], Error.REJECTED) == 0
    row = books.message(ids[0])
    assert (row.status, row.maybe_delivered) == ("unknown", True)


@pytest.mark.parametrize("state", [MessageState.EXPIRED, MessageState.CANCELLED])
def test_closing_leaves_what_is_on_the_wire_and_does_not_deny_what_may_have_arrived(
    books: Books, state: MessageState
) -> None:
    mailing_id, message_id = books.retrying(HOUR, Error.TIMED_OUT)
    books.clients(5)
    books.run("update mailings set launched_at = null, audience_limit = null")  # the new clients too
    books.launch(mailing_id)
    sent, wire, refused, _, _ = books.due(mailing_id)
    books.record(SENT, books.claim(mailing_id, [sent]))
    books.record(Retry(HOUR), books.claim(mailing_id, [refused]), Error.SERVER_ERROR)
    books.claim(mailing_id, [wire])

    closed = [books.move(close_messages, mailing_id, state, 2) for _ in range(3)]

    assert closed == [2, 2, 0]
    assert books.states(mailing_id) == {"sent": 1, "sending": 1, "unknown": 1, state: 3}
    assert books.message(message_id).status == "unknown"


def test_what_is_on_the_wire_when_the_mailing_is_cancelled_still_counts(books: Books) -> None:
    mailing_id, ids = books.launched(2)
    claimed = books.claim(mailing_id, ids)
    books.run("update mailings set cancelled_at = now()")
    assert books.record(SENT, claimed[:1]) == 0
    assert books.record(Retry(SECOND), claimed[1:], Error.SERVER_ERROR) == 0
    assert books.move(close_messages, mailing_id, MessageState.CANCELLED, 10) == 1
    assert books.states(mailing_id) == {"sent": 1, "cancelled": 1}


def test_a_claim_against_a_close(books: Books, other: Books) -> None:
    mailing_id, ids = books.launched(1000)
    closed: list[int] = []

    def close() -> None:
        while count := other.move(close_messages, mailing_id, MessageState.CANCELLED, 50):
            closed.append(count)

    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(close)
        claimed = [
            message for start in range(0, 1000, 20) for message in books.claim(mailing_id, ids[start : start + 20])
        ]
        closing.result()
    assert len(claimed) + sum(closed) == 1000
    assert books.record(SENT, claimed) == 0
    assert books.states(mailing_id) == {state: number for state, number
                                        in (("sent", len(claimed)), ("cancelled", sum(closed))) if number}  # fmt: skip


def test_deleting_a_client_cancels_what_waits_for_him_in_mailings_that_are_not_finished(books: Books) -> None:
    [client] = books.clients(1)
    waiting, wire, doubtful, finished = (books.mailing() for _ in range(4))
    ids = {}
    for mailing_id in (waiting, wire, doubtful, finished):
        books.launch(mailing_id)
        [ids[mailing_id]] = books.ids(mailing_id)
    books.claim(wire, [ids[wire]])
    books.record(Retry(HOUR), books.claim(doubtful, [ids[doubtful]]), Error.CONNECTION_LOST)
    books.record(SENT, books.claim(finished, [ids[finished]]))
    books.run("update mailings set finished_at = now() where id = :id", id=finished)

    books.move(cancel_client, client)

    assert {mailing_id: books.message(message_id).status for mailing_id, message_id in ids.items()} == {
        waiting: "cancelled", wire: "sending", doubtful: "unknown", finished: "sent",
    }  # fmt: skip


# ---------------------------------------------------------------- all at once


def test_everybody_at_once_neither_deadlocks_nor_loses_count(books: Books, books_url: str) -> None:
    """Threads of every kind hammer the same messages in two slots; no statement fails, and the ledger holds."""
    clients = books.clients(400)
    mailings = [books.mailing() for _ in range(4)]
    engine = make_engine(books_url, "hammer", pool_size=12)
    until = time.monotonic() + 4

    def hammer(step: Callable[[Books, int], object], slot: int) -> int:
        each, number = Books(engine, slot), 0
        while time.monotonic() < until:
            step(each, number)
            number += 1
        return number

    def feed(each: Books, number: int) -> None:
        mailing_id = mailings[number % 4]
        each.move(create_messages, mailing_id, 37)
        each.due(mailing_id, 60)
        each.run(_DUE_NOW, third=number % 3)

    def dispatch(each: Books, number: int) -> None:
        mailing_id = mailings[number * 7 % 4]
        ids = [row.id for row in each.run("select id from messages where mailing_id = :id order by random() limit 80",
                                          id=mailing_id)]  # fmt: skip
        claimed = each.claim(mailing_id, ids, lease=timedelta(milliseconds=number % 5 * 10))
        kinds: list[tuple[Decision, Error | None]] = [
            (Retry(timedelta(0)), Error.TIMED_OUT), (HandBack(), None), (Retry(timedelta(0)), Error.SERVER_ERROR),
            (SENT, None),
        ]  # fmt: skip
        some = [Verdict(message, *kinds[message.id % (4 if number % 10 == 0 else 3)]) for message in claimed]
        each.move(record_verdicts, some[: len(some) - number % 3], timedelta(0))

    def rescue(each: Books, number: int) -> None:
        each.rescue(10_000, 50)
        each.move(close_messages, mailings[number % 4], MessageState.CANCELLED, 1)

    def delete(each: Books, number: int) -> None:
        client = clients[number % 400]
        with each.engine.begin() as connection, open_entries(connection, number % 2 + 1) as entries:
            connection.execute(text("delete from clients where id = :id"), {"id": client})
            cancel_client(connection, entries, client)
        time.sleep(0.02)

    with ThreadPoolExecutor(8) as pool:
        steps = [
            (feed, 1),
            (feed, 2),
            (dispatch, 1),
            (dispatch, 2),
            (dispatch, 1),
            (rescue, 2),
            (delete, 1),
            (delete, 2),
        ]
        rounds = [pool.submit(hammer, step, slot) for step, slot in steps]
        assert all(round_.result() > 5 for round_ in rounds)
    engine.dispose()
    assert sum(sum(books.states(mailing_id).values()) for mailing_id in mailings) > 0


_DUE_NOW = """
    update messages set due_at = now()
    where id in (select id from messages where status = 'pending' and due_at > now() and id % 3 = :third
                 order by id for update skip locked)
"""


# ---------------------------------------------------------------- plans


@pytest.fixture(
    params=["analysed while it was empty", "analysed while it all waited", "analysed as it is", "never analysed"]
)
def large(request: pytest.FixtureRequest, books: Books) -> Books:
    """60 000 messages, of which a few still wait, with statistics of several ages."""
    when = request.param
    books.run("alter table messages_1 set (autovacuum_enabled = off)")
    books.run("alter table clients set (autovacuum_enabled = off)")
    if when == "analysed while it was empty":
        books.run("analyze")
    books.clients(60_000)
    mailing_id = books.mailing()
    books.launch(mailing_id, 60_000)
    if when == "analysed while it all waited":
        books.run("analyze")
    books.run("update messages set status = 'sent', due_at = null where id % 100 <> 0")
    books.run(
        "update messages set status = 'sending', due_at = now() - interval '5 s', claim_id = 1 where id % 1000 = 0"
    )
    if when == "analysed as it is":
        books.run("analyze")
    books.run("truncate mailing_counters, tallies")
    counts = ", ".join(f"count(*) filter (where status = '{state}')" for state in MessageState)
    books.run(f"""insert into mailing_counters (mailing_id, slot, {", ".join(MessageState)})
                  select mailing_id, 0, {counts} from messages group by 1""")
    books.run("update mailing_counters set due_at = now()")
    books.run(f"""update ledger_totals set {", ".join(f"{state} = c.{state}" for state in MessageState)}
                  from mailing_counters c where ledger_totals.slot = 1""")
    books.run("insert into tallies select mailing_id, now(), 0, 'sent', sent from mailing_counters")
    return books


def plans(engine: Engine, move: Callable[[Connection, Entries], object]) -> str:
    """The plans of all statements of a move that touch messages."""
    with planned(engine, "messages") as lines, engine.begin() as connection, open_entries(connection, 1) as entries:
        move(connection, entries)
    return "\n".join(lines)


def test_no_move_reads_more_of_a_large_table_than_it_needs(large: Books) -> None:
    """Whatever the statistics say: work by id goes through the primary key, the feeder's through partial indexes."""
    engine = large.engine
    waiting = [row.id for row in large.run("select id from messages where status = 'pending' order by id")]
    job = {1: [*waiting[:100], *range(1, 100)]}
    lost = [row.id for row in large.run("select id from messages where status = 'sending' order by id limit 10")]
    another = large.mailing(ends=2 * HOUR)
    by_id, due, lease = "messages_1_pkey", "messages_1_mailing_id_lane_due_at_id_idx", "messages_1_due_at_idx"
    of_client = "messages_1_client_id_mailing_id_key"

    def walk(connection: Connection, _entries: Entries) -> None:
        assert due_mailings(connection)[0].due

    def claim(connection: Connection, entries: Entries) -> None:
        taken = claim_messages(connection, entries, job, lease=LEASE)
        assert taken is not None
        assert len(taken.messages) == 100
        record_verdicts(connection, entries, [Verdict(message, SENT) for message in taken.messages], SECOND)

    moves: list[tuple[Callable[[Connection, Entries], object], set[str]]] = [
        (walk, {due}),
        (claim, {by_id}),
        (lambda c, e: claim_messages(c, e, job, lease=LEASE), {by_id}),
        (lambda c, _: read_due(c, 1, [Wanted(1, 0, 100, None), Wanted(another, 0, 100, None)], 150), {due}),
        (lambda c, e: create_messages(c, e, another, 1000), set()),
        (lambda c, e: find_lost(c, 10, [another]), {lease}),
        (lambda c, e: rescue_messages(c, e, 10, Lost(1, lost)), {by_id}),
        (lambda c, e: cancel_client(c, e, 100), {of_client, by_id}),
        (lambda c, e: retime_messages(c, e, 1, 100), {by_id}),
        (lambda c, e: close_messages(c, e, 1, MessageState.EXPIRED, 100), {due, by_id}),
    ]
    for move, expected in moves:
        plan = plans(engine, move)
        used = {index for index in (by_id, due, lease, of_client) if index in plan}
        assert used == expected, plan
        assert "Seq Scan on messages" not in plan, plan
        assert "Seq Scan on clients" not in plan, plan
        bitmaps = re.findall(r"Bitmap Index Scan on (\w+)", plan)  # they go to their end: of a bounded number of ids
        assert all(index == by_id or index.startswith("mailings") for index in bitmaps), plan
