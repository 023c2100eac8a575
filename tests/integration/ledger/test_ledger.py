"""Whatever makes counters and rows differ is told while the mailing runs, keeps it from its finish, and is mended."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from dispatcher_service.leading.auditor import Auditor
from dispatcher_service.leading.chores import check_ledger
from shared import metrics
from shared.database.engine import make_engine
from shared.domain.message import MessageState
from shared.ledger import check, stretches
from shared.ledger.__main__ import main
from shared.ledger.check import Account, prepare, read_accounts, snapshot
from shared.ledger.figures import find_unbalanced
from shared.ledger.repair import lock
from shared.messages.close import close_messages
from shared.messages.create import create_messages
from tests.support.books import HOUR, SENT, Books
from tests.support.leading import serving
from tests.support.waiting import wait_until


@pytest.fixture
def ruins(books_engine: Engine) -> Books:
    """Books that are broken on purpose: nobody checks them in the end."""
    books = Books(books_engine)
    books.empty()
    return books


@dataclass(frozen=True)
class Break:
    """statement: what somebody does behind the service's back to a running mailing of ten messages, two of them sent.
    more: what the ledger then has more than there is."""

    statement: str
    more: dict[str, int]


BREAKS = {
    "rows deleted": Break(
        """delete from messages where id in (
               select id from messages where mailing_id = :id and status = 'pending' limit 3)""",
        {"pending": 3, "audience": 3},
    ),
    "rows marked sent": Break(
        """update messages set status = 'sent', due_at = null, sent_at = now()
           where mailing_id = :id and status = 'pending'""",
        {"pending": 8, "sent": -8},
    ),
    "rows doubled": Break(
        """with doubled as (
               insert into messages (part, mailing_id, client_id, status, due_at)
               select part, mailing_id, client_id + 1000, status, due_at from messages
               where mailing_id = :id and status = 'pending' returning id
           )
           update mailings set last_message_id = (select max(id) from doubled) where id = :id""",
        {"pending": -8, "audience": -8},
    ),
    "counters moved ahead": Break(
        "update mailing_counters set sent = sent + 8, pending = pending - 8 where mailing_id = :id and slot = 1",
        {"sent": 8, "pending": -8},
    ),
    "counters lost": Break("delete from mailing_counters where mailing_id = :id", {"pending": -8, "sent": -2}),
    "audience changed": Break("update mailings set audience = audience + 5 where id = :id", {"audience": 5}),
}


def running(books: Books) -> int:
    """A mailing of ten messages, two of them sent."""
    mailing_id, ids = books.launched(10)
    taken = ids[:2]
    assert books.record(SENT, books.claim(mailing_id, taken)) == 0
    assert books.states(mailing_id) == {"pending": 8, "sent": 2}
    assert len(ids) == 10
    return mailing_id


def break_it(books: Books, kind: str, mailing_id: int) -> dict[str, int]:
    """What the ledger has more than there is from now on."""
    books.run(BREAKS[kind].statement, id=mailing_id)
    return BREAKS[kind].more


def accounts(books: Books, *mailing_ids: int) -> list[Account]:
    with books.engine.connect() as connection, snapshot(connection):
        return read_accounts(connection, mailing_ids)


def finished(books: Books) -> list[int]:
    return [row.id for row in books.run("select id from mailings where finished_at is not null order by id")]


def unbalanced(books: Books) -> list[int]:
    with books.engine.connect() as connection:
        return find_unbalanced(connection)


def difference_shown() -> float:
    [metric] = metrics.LEDGER_DIFFERENCE.collect()
    return float(metric.samples[0].value)


Start = Callable[..., Auditor]


@pytest.fixture
def start(books_url: str) -> Iterator[Start]:
    """Starts an auditor whose process leads."""
    leads = threading.Event()
    leads.set()
    with ExitStack() as stack:

        def start(leads: threading.Event = leads, round_pause: float = 0.1) -> Auditor:
            engine = make_engine(books_url, "auditor", pool_size=1)
            auditor = Auditor(engine, leads, round_pause)
            stack.enter_context(serving(auditor, engine))
            return auditor

        yield start


Repair = Callable[..., int]


@pytest.fixture
def repair(books_url: str, monkeypatch: pytest.MonkeyPatch) -> Repair:
    """`python -m shared.ledger repair`, in this process; its exit code."""
    monkeypatch.setenv("DATABASE_URL", books_url)
    return lambda *arguments: main(["repair", *arguments])


# ---------------------------------------------------------------- what is held against what


def test_a_ledger_that_is_kept_agrees_with_its_rows(books: Books) -> None:
    mailing_id, nobody = running(books), books.mailing(tags=["nobody"])
    books.launch(nobody)
    [account, empty] = accounts(books, mailing_id, nobody)
    assert account.difference == empty.difference == {}
    assert (account.audience, sum(account.rows.values()), account.rows[MessageState.SENT]) == (10, 10, 2)
    assert (account.may_finish, empty.may_finish) == (False, True)
    assert accounts(books, 10**6) == []


@pytest.mark.parametrize("kind", BREAKS)
def test_every_difference_is_seen(ruins: Books, kind: str) -> None:
    mailing_id = running(ruins)
    more = break_it(ruins, kind, mailing_id)
    [account] = accounts(ruins, mailing_id)
    assert account.difference == more
    assert not account.may_finish


def test_mailings_of_any_size_are_read_in_slices(ruins: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is more than their ledger says."""
    monkeypatch.setattr(stretches, "SLICE", 7)
    sizes = [1, 0, 20, 6, 7, 8, 3, 14]
    mailing_ids = []
    for number, size in enumerate(sizes):
        ruins.clients(size, tag=str(number))
        mailing_ids.append(ruins.mailing(tags=[str(number)]))
        ruins.launch(mailing_ids[-1])
    assert [sum(account.rows.values()) for account in accounts(ruins, *mailing_ids)] == sizes
    ruins.run("update mailings set audience = 0")
    assert [account.difference.get("audience", 0) for account in accounts(ruins, *mailing_ids)] == [
        -size for size in sizes
    ]


def test_moves_that_are_under_way_make_no_difference(books: Books, other: Books) -> None:
    mailing_id, _ = books.launched(2000)
    seen: set[tuple[Any, ...]] = set()

    def send() -> None:
        while taken := books.due(mailing_id, 50):
            books.record(SENT, books.claim(mailing_id, taken))

    def close() -> None:
        books.run("update mailings set ends_at = now()")
        while other.move(close_messages, mailing_id, MessageState.EXPIRED, 20):
            pass

    with ThreadPoolExecutor(2) as threads:
        moves = [threads.submit(send)]
        time.sleep(0.2)
        moves.append(threads.submit(close))
        while not all(move.done() for move in moves):
            [account] = accounts(books, mailing_id)
            assert account.difference == {}
            seen.add(tuple(sorted(account.rows.items())))
    assert [move.result() for move in moves] == [None, None]
    assert len(seen) > 2, "nothing moved meanwhile"


@pytest.mark.parametrize(
    "statement",
    [check._COUNT, check._MAILINGS, check_ledger._NEXT],
    ids=["count", "mailings", "next"],
)
def test_no_plan_depends_on_statistics(books: Books, statement: Any) -> None:
    """With an empty table in the statistics, and the whole directory in one mailing."""
    mailing_id, _ = books.launched(5000)
    values = {
        "ids": [mailing_id],
        "afters": [0],
        "lasts": [5000],
        "mosts": [stretches.SLICE],
        "part": 1,
        "after": 0,
        "most": 100,
        "left_out": [],
    }
    with books.engine.connect() as connection:
        prepare(connection)
        used = statement.compile().params.keys() & values.keys()
        plan = connection.execute(text(f"explain {statement}"), {name: values[name] for name in used}).scalars().all()
        connection.invalidate()
    words = "\n".join(plan)
    assert "Seq Scan" not in words
    assert "Sort Key: messages" not in words
    assert "Index Scan" in words or "Index Only Scan" in words, words


# ---------------------------------------------------------------- the alarm


@pytest.mark.parametrize("kind", BREAKS)
def test_a_difference_is_told_while_the_mailing_runs_and_until_it_is_mended(
    ruins: Books, start: Start, repair: Repair, capsys: Any, kind: str
) -> None:
    mailing_id = running(ruins)
    start()
    time.sleep(0.3)
    assert difference_shown() == 0

    more = break_it(ruins, kind, mailing_id)

    wait_until(lambda: difference_shown() == sum(map(abs, more.values())))
    wait_until(lambda: unbalanced(ruins) == [mailing_id])
    [finding] = ruins.run("select * from ledger_findings")
    assert (finding.mailing_id, finding.difference) == (mailing_id, more)
    assert finished(ruins) == []
    time.sleep(0.5)  # some rounds
    said = [line for line in capsys.readouterr().out.splitlines() if "ledger_differs" in line]
    assert len(said) == 1, "once, not in every round"
    assert all(name in said[0] for name in more)

    assert repair() == 0

    wait_until(lambda: difference_shown() == 0)
    assert unbalanced(ruins) == []
    assert accounts(ruins, mailing_id)[0].difference == {}


def test_a_paused_mailing_is_looked_at_as_well(ruins: Books, start: Start) -> None:
    mailing_id = running(ruins)
    ruins.run("update mailings set paused_at = now()")
    start()
    break_it(ruins, "rows deleted", mailing_id)
    wait_until(lambda: unbalanced(ruins) == [mailing_id])


def test_whoever_leads_next_knows_what_was_found(ruins: Books, start: Start) -> None:
    mailing_id = running(ruins)
    break_it(ruins, "rows deleted", mailing_id)
    leads = threading.Event()
    leads.set()
    start(leads)
    wait_until(lambda: unbalanced(ruins) == [mailing_id])
    leads.clear()
    wait_until(lambda: difference_shown() == 0)  # a gauge of the leader's
    start(round_pause=60.0)
    wait_until(lambda: difference_shown() == 6)


def test_who_does_not_lead_does_nothing(books: Books, start: Start) -> None:
    books.launch(books.mailing(tags=["nobody"]))
    start(threading.Event())
    time.sleep(1)
    assert finished(books) == []


def test_one_mailing_that_cannot_be_read_spoils_nothing_for_the_others(
    books: Books, start: Start, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Its pages are damaged, say; here the database is asked for something else that it cannot do."""
    mailing_ids = [books.launched(1)[0] for _ in range(4)]
    damaged = mailing_ids[1]

    def read(connection: Connection, ids: Sequence[int]) -> list[Account]:
        if damaged in ids:
            connection.execute(text("select 1 / 0"))
        return read_accounts(connection, ids)

    monkeypatch.setattr(check_ledger, "read_accounts", read)
    start()
    for mailing_id in mailing_ids:
        books.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    wait_until(lambda: finished(books) == [one for one in mailing_ids if one != damaged])
    wait_until(lambda: "ledger_not_read" in capsys.readouterr().out)
    monkeypatch.undo()
    wait_until(lambda: finished(books) == mailing_ids)


def test_a_round_takes_the_time_that_its_size_asks_for(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_ledger, "BATCH_MAILINGS", 10)
    now = 1000.0
    monkeypatch.setattr(check_ledger, "ticks", lambda: now)
    ids = [books.mailing(tags=["nobody"]) for _ in range(25)]
    for mailing_id in ids:
        books.launch(mailing_id)
    chore = check_ledger.CheckLedger(45.0)
    with books.engine.connect() as connection:
        seen: list[int] = []
        looks = 0
        while len(seen) < 25:
            seen += [account.mailing_id for account in chore.take_turn(connection)]
            assert chore.take_turn(connection) == []  # it is too early
            now += 10 / check_ledger.MAILINGS_PER_SECOND
            looks += 1
        assert (seen, looks) == (ids, 3)
        assert chore.take_turn(connection) == []
        now = 1044.0
        assert chore.take_turn(connection) == []
        now = 1045.1
        assert [account.mailing_id for account in chore.take_turn(connection)] == ids[:10]


# ---------------------------------------------------------------- finishing


def test_a_mailing_whose_counters_ran_ahead_is_not_finished_before_its_messages_are(
    ruins: Books, start: Start, repair: Repair
) -> None:
    mailing_id, ids = ruins.launched(800)
    ruins.run("update mailing_counters set sent = pending, pending = 0")
    ruins.run(
        """insert into tallies (mailing_id, quarter, slot, name, count)
           select id, date_bin('15 minutes', now(), '2000-01-01 00:00Z'), 0, 'sent', 800 from mailings"""
    )
    start()
    wait_until(lambda: unbalanced(ruins) == [mailing_id])
    time.sleep(1)
    assert finished(ruins) == []
    assert repair("--mailing", str(mailing_id)) == 0
    time.sleep(0.5)
    assert finished(ruins) == []
    while taken := ruins.due(mailing_id, 200):
        ruins.record(SENT, ruins.claim(mailing_id, taken))
    wait_until(lambda: finished(ruins) == [mailing_id])
    assert len(ids) == 800


def test_many_mailings_that_end_together_are_finished_together(books: Books, start: Start) -> None:
    books.clients(2)
    ids = [books.mailing() for _ in range(300)]
    for mailing_id in ids:
        books.launch(mailing_id)
    auditor = start(round_pause=60.0)
    for mailing_id in ids:
        books.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    auditor.offer([(mailing_id, 2) for mailing_id in ids])
    wait_until(lambda: finished(books) == ids)


def test_one_that_somebody_has_locked_keeps_nobody_waiting(books: Books, start: Start) -> None:
    stuck, *others = [books.mailing(tags=["nobody"]) for _ in range(4)]
    with books.engine.begin() as connection:
        for mailing_id in [stuck, *others]:
            books.launch(mailing_id)
        connection.execute(text("select from mailings where id = :id for update"), {"id": stuck})
        start()
        wait_until(lambda: finished(books) == others)
    wait_until(lambda: finished(books) == [stuck, *others])


def test_one_whose_counters_somebody_has_locked_keeps_nobody_waiting(books: Books, start: Start) -> None:
    stuck, *others = [books.launched(2)[0] for _ in range(3)]
    for mailing_id in [stuck, *others]:
        books.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    with books.engine.begin() as connection:
        connection.execute(text("select from mailing_counters where mailing_id = :id for update"), {"id": stuck})
        start()
        wait_until(lambda: finished(books) == others)
    wait_until(lambda: finished(books) == [stuck, *others])


def test_a_mailing_is_finished_in_its_turn_where_nothing_points_to_it(books: Books, start: Start) -> None:
    """As when its hints were lost."""
    mailing_id, _ = books.launched(3, ends=HOUR)
    books.move(close_messages, mailing_id, MessageState.CANCELLED, 10)
    books.run("update mailing_counters set due_at = null")
    start()
    wait_until(lambda: finished(books) == [mailing_id])


def test_a_launch_that_is_not_complete_finishes_nothing(books: Books, start: Start) -> None:
    books.clients(5)
    mailing_id = books.mailing()
    books.move(create_messages, mailing_id, 3)
    books.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    start()
    time.sleep(1)
    assert finished(books) == []
    books.launch(mailing_id)
    books.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    wait_until(lambda: finished(books) == [mailing_id])


# ---------------------------------------------------------------- repair


@pytest.mark.parametrize("kind", BREAKS)
def test_repair_makes_the_ledger_say_what_the_rows_say(ruins: Books, repair: Repair, capsys: Any, kind: str) -> None:
    mailing_id = running(ruins)
    healthy, _ = ruins.launched(2)
    more = break_it(ruins, kind, mailing_id)
    counters = ruins.run("select * from mailing_counters order by 1, 2")

    assert repair("--dry-run") == 1
    said = capsys.readouterr().out
    assert f"Mailing {mailing_id}: " in said
    assert "2 looked at, 1 differ" in said
    assert ruins.run("select * from mailing_counters order by 1, 2") == counters
    assert accounts(ruins, mailing_id)[0].difference == more

    assert repair() == 0
    said = capsys.readouterr().out
    assert all(f"{name} " in said for name in more)
    assert "2 looked at, 1 mended." in said
    for account in accounts(ruins, mailing_id, healthy):
        assert account.difference == {}
        assert account.counted == {state: account.rows[state] for state in MessageState}

    assert repair() == 0
    assert "2 looked at, 0 mended." in capsys.readouterr().out


def test_what_is_finished_is_mended_where_its_counters_do_not_add_up_or_where_it_is_named(
    ruins: Books, repair: Repair
) -> None:
    one, two = [ruins.launched(3)[0] for _ in range(2)]
    for mailing_id in (one, two):
        ruins.move(close_messages, mailing_id, MessageState.EXPIRED, 10)
    assert ruins.finish([one, two]) == [one, two]
    ruins.run("update mailing_counters set expired = expired - 1 where mailing_id = :id", id=one)
    ruins.run("update mailing_counters set expired = expired - 1, sent = 1 where mailing_id = :id", id=two)
    assert repair() == 0
    assert [bool(account.difference) for account in accounts(ruins, one, two)] == [False, True]
    assert repair("--mailing", str(two)) == 0
    assert [bool(account.difference) for account in accounts(ruins, one, two)] == [False, False]


def test_repair_mends_the_totals_as_well(ruins: Books, repair: Repair, capsys: Any) -> None:
    ruins.launched(3)
    ruins.run("update ledger_totals set pending = pending + 7, mailings = mailings + 1")
    assert repair("--dry-run") == 1
    assert "Totals: " in capsys.readouterr().out
    assert repair() == 0
    assert "pending -7" in capsys.readouterr().out
    ruins.check()
    assert repair("--dry-run") == 0


def test_repair_while_everything_moves(ruins: Books, repair: Repair) -> None:
    """Nobody stops for it, and what moves meanwhile is counted neither twice nor not at all."""
    mailing_id, _ = ruins.launched(2000)
    ruins.run("update mailing_counters set pending = pending + 7, failed = failed - 3")
    ruins.run("update mailings set audience = audience + 11")

    def send() -> None:
        while taken := ruins.due(mailing_id, 40):
            ruins.record(SENT, ruins.claim(mailing_id, taken))

    with ThreadPoolExecutor(1) as threads:
        moves = threads.submit(send)
        time.sleep(0.1)
        assert repair() == 0
        assert not moves.done(), "it was not under way any more"
        assert accounts(ruins, mailing_id)[0].difference == {}
        moves.result()
    [account] = accounts(ruins, mailing_id)
    assert account.difference == {}
    assert account.counted[MessageState.SENT] == account.audience == 2000


def test_of_two_repairs_one_is_refused(ruins: Books, repair: Repair, capsys: Any) -> None:
    mailing_id = running(ruins)
    more = break_it(ruins, "counters lost", mailing_id)
    with ruins.engine.connect() as connection:
        assert lock(connection)
        assert repair() == 1
        connection.invalidate()
    assert "Another repair is at work" in capsys.readouterr().err
    assert accounts(ruins, mailing_id)[0].difference == more


def test_the_command(books: Books, books_url: str) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "shared.ledger", *arguments],
            env=os.environ | {"DATABASE_URL": books_url}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    running(books)
    done = run("repair")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 looked at, 0 mended.\n", "")
    done = run("repair", "--mailing", "77")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "There is no mailing 77, or its messages are removed.\n",
    )
    assert run("destroy").returncode == 2
