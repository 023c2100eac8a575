"""In whatever order feeders, dispatchers and users act: no message is lost, miscounted, or held by two.

The machine plays every part against a real database. Two dispatchers crash and come back late, jobs are lost, doubled
and stale, leases run out, mailings are paused, cancelled and ended, windows move, clients go. What a provider says
becomes a verdict by the real policy. After every step the rows, the counters, the tallies and the allowed moves are
compared; at the end everything must reach a final state.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)  # fmt: skip
from sqlalchemy import Engine, Row, text

from dispatcher_service.leading.chores.close_ended import close_slice
from dispatcher_service.leading.walk import due_mailings
from dispatcher_service.sending.attempt import Attempt, DatabaseClock, Result
from dispatcher_service.sending.blame import Blame, blame
from shared.domain.message import FINAL_STATES, MOVES, Error, MessageState
from shared.domain.reason import Reason
from shared.domain.retry import ACCEPTED, Finish, HandBack, Outcome, OutcomeKind, Retry, RetryPolicy
from shared.domain.window import Window
from shared.messages.cancel import cancel_client
from shared.messages.claim import Claim, Claimed, claim_messages
from shared.messages.close import close_messages
from shared.messages.create import create_messages
from shared.messages.hints import settle_hints
from shared.messages.record import Verdict, record_verdicts
from shared.messages.retime import retime_clients, retime_messages
from shared.messages.skip import skip_clients
from tests.support.books import HOUR, LEASE, MINUTE, Books
from tests.support.superuser import superuser

ZONES = ("Europe/Moscow", "America/New_York")  # never within eight hours of each other's window
ATTEMPTS = 3
POLICY = RetryPolicy(ladder=(timedelta(0), 30 * MINUTE), attempts=ATTEMPTS)
OUTCOMES: Sequence[Outcome | None] = (
    ACCEPTED,
    Outcome(OutcomeKind.REFUSED, Error.REJECTED),
    Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT),
    Outcome(OutcomeKind.TRANSIENT, Error.SERVER_ERROR),
    Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST),
    Outcome(OutcomeKind.AMBIGUOUS, Error.CONTRADICTION),
    Outcome(OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER, words="Created"),
    Outcome(OutcomeKind.TRANSIENT, Error.DECLINED, words="later"),
    Outcome(OutcomeKind.UNAUTHORIZED, Error.UNPAID),
    Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED, retry_after=5),
    None,  # the call was not made
)
USERS_ACTS = (
    *("add client", "delete client", "add mailing", "pause", "resume", "change window", "end"),
    *("suppress", "lift", "move client"),
)
FEEDERS_ACTS = ("launch", "rescue", "rescue", "close", "time anew")
AFTERMATHS = NOTHING, RESCUED, TAKEN_OVER = "nothing", "rescued", "taken over"
OPEN_IN_MOSCOW, CLOSED = "open in Moscow, closed in New York", "closed in both"

MICROSECONDS = timedelta(microseconds=5)
"""What is lost between PostgreSQL's clock, its numbers and ours."""

Message = Row[*tuple[Any, ...]]
pick = st.integers(0, 20)  # which of those there are
few = st.integers(1, 4)


def window(kind: str | None) -> tuple[str, str] | tuple[None, None]:
    if kind is None:
        return None, None
    now = datetime.now(UTC).astimezone(ZoneInfo("Europe/Moscow"))
    start = now - HOUR if kind == OPEN_IN_MOSCOW else now + HOUR
    return start.strftime("%H:%M:%S"), (start + 2 * HOUR).strftime("%H:%M:%S")


windows = st.sampled_from([None, None, OPEN_IN_MOSCOW, CLOSED])


@dataclass(frozen=True)
class Job:
    mailing_id: int
    ids: tuple[int, ...]


class Machine(RuleBasedStateMachine):
    engine: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(self.engine)
        self.books.empty()
        self.dispatchers = (Books(self.engine, slot=2), Books(self.engine, slot=3))
        self.mailings: list[int] = []
        self.jobs: list[Job] = []
        self.claims: list[list[Claimed]] = []  # of dispatchers that are alive
        self.ghosts: list[list[Claimed]] = []  # of those that are frozen, or were taken for dead
        self.live: dict[int, int] = {}  # the claim of each message whose lease lasts and whose result is not written
        self.before: dict[int, Message] = {}
        self.verdicts: dict[int, set[MessageState]] = {}  # final states that were recorded in time, by message
        self.doubtful: set[int] = set()  # messages of which the answer of any call, or its lease, was lost
        self.repeated: Counter[int] = Counter()  # by mailing

    # ---------------------------------------------------------------- users

    @initialize(moscow=few, new_york=few, kind=windows)
    def directory(self, moscow: int, new_york: int, kind: str | None) -> None:
        for zone, count in zip(ZONES, (moscow, new_york), strict=True):
            self.books.clients(count + 1, timezone=zone, tag="vip")
            self.books.clients(1, timezone=zone)
        for tag, start in (("", None), ("vip", kind)):
            self.mailings.append(self.books.mailing(tags=[tag] if tag else []))
            self.set_window(self.mailings[-1], start)
            self.books.launch(self.mailings[-1], 4)
            self.messages_move_as_they_may()
            self.read(len(self.mailings) - 1, 20, 1, 0, waited=False)

    @rule(act=st.sampled_from(USERS_ACTS), which=pick, kind=windows)
    def user(self, act: str, which: int, kind: str | None) -> None:
        mailing_id = self.mailing(which)
        match act:
            case "add client":
                self.books.clients(1, timezone=ZONES[which % 2], tag="vip" if kind else "")
            case "delete client":
                self.delete_client(which, 20 - which)
            case "add mailing" if len(self.mailings) < 4:
                self.mailings.append(self.books.mailing(tags=["vip"] if kind else []))
                self.set_window(self.mailings[-1], kind)
            case "pause":
                self.books.run("update mailings set paused_at = now() where id = :id", id=mailing_id)
            case "resume":
                self.resume(mailing_id)
            case "change window":
                self.set_window(mailing_id, kind)
            case "suppress":
                self.suppress(which, 20 - which)
            case "lift":
                self.books.run("update clients set suppression_id = null where id % 3 = :third", third=which % 3)
            case "move client":
                self.move_client(which)
            case "end" if which % 3 == 0:  # not too often
                column = "cancelled_at" if kind else "ends_at"
                self.books.run(f"update mailings set {column} = now() where id = :id", id=mailing_id)

    def resume(self, mailing_id: int) -> None:
        """As the API does it."""
        self.books.run("update mailings set paused_at = null where id = :id", id=mailing_id)
        self.books.move(lambda _, entries: entries.look(mailing_id))

    def delete_client(self, which: int, locked: int) -> None:
        clients = [row.id for row in self.books.run("select id from clients order by id")]
        if clients:
            client_id = clients[which % len(clients)]
            self.books.run("delete from clients where id = :id", id=client_id)
            with self.somebody_locks(locked):
                self.books.move(cancel_client, client_id)

    def suppress(self, which: int, locked: int) -> None:
        """A flag alone, as it stands while what waits is not looked at; or with all of it."""
        clients = [row.id for row in self.books.run("select id from clients order by id")]
        if clients:
            client_id = clients[which % len(clients)]
            self.books.run("update clients set suppression_id = 1 where id = :id", id=client_id)
            if which % 2:
                with self.somebody_locks(locked):
                    self.books.move(skip_clients, [client_id], Reason.OPTED_OUT)

    def move_client(self, which: int) -> None:
        """Into the other zone."""
        clients = [row.id for row in self.books.run("select id from clients order by id")]
        if clients:
            client_id, zone = clients[which % len(clients)], ZONES[which % 2]
            self.books.run("update clients set timezone = :zone where id = :id", zone=zone, id=client_id)
            self.books.move(retime_clients, [client_id])

    # ---------------------------------------------------------------- the feeder

    @rule(which=pick, limit=st.integers(1, 20), kept=st.integers(0, 5), locked=pick, waited=st.booleans())
    def read(self, which: int, limit: int, kept: int, locked: int, waited: bool) -> None:
        mailing_id = self.mailing(which)
        if waited:
            self.time_passes(1, 0)
            self.messages_move_as_they_may()
        with self.somebody_locks(locked):
            ids = self.books.due(mailing_id, limit)
        assert len(ids) == len(set(ids))
        if ids and kept:  # else the broker lost it
            self.jobs.append(Job(mailing_id, tuple(ids)))

    @rule(act=st.sampled_from(FEEDERS_ACTS), which=pick, limit=st.integers(1, 20), locked=pick)
    def feeder(self, act: str, which: int, limit: int, locked: int) -> None:
        mailing_id = self.mailing(which)
        match act:
            case "launch":
                self.books.move(create_messages, mailing_id, limit)
            case "rescue":
                with self.somebody_locks(locked):
                    self.books.rescue(ATTEMPTS, limit)
            case "close":
                self.close(mailing_id, limit, locked)
            case "time anew":
                self.books.move(retime_messages, mailing_id, limit)
        self.finish()

    def close(self, mailing_id: int, limit: int, locked: int) -> None:
        [mailing] = self.books.run(
            "select cancelled_at, ends_at <= now() as over from mailings where id = :id", id=mailing_id
        )
        if mailing.cancelled_at or mailing.over:
            state = MessageState.CANCELLED if mailing.cancelled_at else MessageState.EXPIRED
            with self.somebody_locks(locked):
                self.books.move(close_messages, mailing_id, state, limit)

    def finish(self) -> None:
        """As the leader does it: what is hinted at and has nothing due is looked at, and perhaps finished."""
        with self.engine.connect() as connection:
            quiet = [mailing.id for mailing in due_mailings(connection) if not mailing.due]
            candidates = [mailing_id for mailing_id, _ in settle_hints(connection, quiet)]
            connection.commit()
        assert self.books.finish(candidates) == candidates
        for mailing_id in candidates:
            assert set(self.books.states(mailing_id)) <= FINAL_STATES

    # ---------------------------------------------------------------- the dispatchers

    @precondition(lambda self: self.jobs)
    @rule(which=pick, comes_again=st.booleans(), upto=st.integers(1, 20), locked=pick)
    def claim(self, which: int, comes_again: bool, upto: int, locked: int) -> None:
        job = self.jobs[which % len(self.jobs)] if comes_again else self.jobs.pop(which % len(self.jobs))
        self.claim_ids(which, job.mailing_id, job.ids[:upto], locked)

    @rule(which=pick, locked=pick)
    def claim_all_sorts(self, which: int, locked: int) -> None:
        """A job as no feeder ever made it."""
        self.claim_ids(which, self.mailing(which), [*self.before, *self.before, 10**15], locked)

    @precondition(lambda self: self.claims)
    @rule(
        which=pick,
        outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4),
        upto=st.integers(1, 20),
        published=st.booleans(),
    )
    def record(self, which: int, outcomes: Sequence[Outcome | None], upto: int, published: bool) -> None:
        claimed = self.claims.pop(which % len(self.claims))
        self.write(which, claimed[:upto], outcomes, published)
        if claimed[upto:]:
            self.claims.append(claimed[upto:])

    @precondition(lambda self: self.claims)
    @rule(which=pick, every=st.integers(1, 2), then=st.sampled_from(AFTERMATHS))
    def crash(self, which: int, every: int, then: str) -> None:
        """For ever, or only for a while: see `record_late`. every: whose lease ran out."""
        ghost = self.claims.pop(which % len(self.claims))
        self.ghosts.append(ghost)
        self.let_leases_run_out([message.id for message in ghost[::every]])
        if then != NOTHING:
            self.messages_move_as_they_may()
            self.books.rescue(ATTEMPTS, 20)
        if then == TAKEN_OVER:
            mailing_id = ghost[0].mailing_id
            self.messages_move_as_they_may()
            ids = self.books.due(mailing_id, 20)
            self.messages_move_as_they_may()
            self.claim_ids(which + 1, mailing_id, ids, 0)

    @precondition(lambda self: self.ghosts)
    @rule(which=pick, outcome=st.sampled_from(OUTCOMES), twice=st.booleans(), with_newer=st.booleans())
    def record_late(self, which: int, outcome: Outcome | None, twice: bool, with_newer: bool) -> None:
        """By the same dispatcher, perhaps, that has claimed some of the messages anew."""
        ghost = self.ghosts[which % len(self.ghosts)] if twice else self.ghosts.pop(which % len(self.ghosts))
        batch = {message.id: message for message in ghost}
        newer = next((claimed for claimed in self.claims if batch.keys() & {message.id for message in claimed}), None)
        if newer and with_newer:
            self.claims.remove(newer)
            self.claims += [[message for message in newer if message.id in batch]]
            batch = {message.id: message for message in newer} | batch
        self.write(which, list(batch.values()), [outcome], published=True)

    # ---------------------------------------------------------------- time

    @rule(every=few, rest=pick)
    def time_passes(self, every: int, rest: int) -> None:
        """For some messages, and for the hints at them."""
        self.books.run(
            """with moved as (
                   update messages set due_at = now() - interval '1 s'
                   where status in ('pending', 'retrying') and id % :every = :rest returning mailing_id)
               update mailing_counters set due_at = least(due_at, now() - interval '1 s')
               where due_at is not null and mailing_id in (select mailing_id from moved)""",
            every=every, rest=rest % every,
        )  # fmt: skip

    def let_leases_run_out(self, ids: Sequence[int]) -> None:
        rows = self.books.run(
            """update messages set due_at = now() - interval '1 s'
               where status = 'sending' and id = any(:ids) returning id""",
            ids=list(ids),
        )
        for row in rows:
            self.live.pop(row.id, None)

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def the_ledger_holds(self) -> None:
        self.books.check()

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """No message is due before the leader looks at its mailing."""
        forgotten = self.books.run(
            """select m.id, next.due_at, hint.due_at
               from mailings m
               cross join lateral (select min(due_at) as due_at from messages
                                   where mailing_id = m.id and status in ('pending', 'retrying')) next
               cross join lateral (select min(due_at) as due_at from mailing_counters where mailing_id = m.id) hint
               where next.due_at is not null and greatest(next.due_at, now()) < coalesce(hint.due_at, 'infinity')
                 and paused_at is null and cancelled_at is null and ends_at > now()"""
        )
        assert forgotten == []

    @invariant()
    def repeats_are_counted(self) -> None:
        rows = self.books.run("select mailing_id, sum(count) from tallies where name = 'repeated' group by 1")
        assert {mailing_id: count for mailing_id, count in rows if count} == +self.repeated

    @invariant()
    def attempts_are_kept(self) -> None:
        """Each that was spent in vain, by its number, and none that was not."""
        kept = self.books.run(
            """select m.status, m.attempts, m.error, array_agg(a.error order by a.number) as errors,
                      array_agg(a.number order by a.number) filter (where a.number > 0) as numbers
               from messages m left join attempts a on a.message_id = m.id
               group by m.id, m.status, m.attempts, m.error"""
        )
        for row in kept:
            in_vain = row.attempts - (row.status == MessageState.SENT)
            assert (row.numbers or []) == list(range(1, in_vain + 1))
            shown = (None, Error.PROVIDER_DOWN, Error.RATE_LIMITED, Reason.OPTED_OUT)
            assert not in_vain or row.error in (row.errors[-1], *shown)

    @invariant()
    def messages_move_as_they_may(self) -> None:
        now = self.books.now()
        after = {row.id: row for row in self.books.run("select * from messages")}
        assert after.keys() >= self.before.keys()
        for message_id, row in after.items():
            assert (row.due_at is None) == (row.status in FINAL_STATES)
            assert (row.claim_id is not None) == (row.status == MessageState.SENDING)
            assert (row.sent_at is not None) == (row.status == MessageState.SENT)
            assert row.attempts <= ATTEMPTS
            assert row.attempts <= row.calls
            if row.error == Error.LEASE_LOST:
                self.doubtful.add(message_id)
            assert row.maybe_delivered == (message_id in self.doubtful)
            if row.status == MessageState.UNKNOWN:
                assert row.maybe_delivered
            if row.status in FINAL_STATES - {MessageState.SENT, MessageState.UNKNOWN}:
                assert not row.maybe_delivered  # certainly not delivered by us
            assert (row.error == Reason.OPTED_OUT) == (row.status == MessageState.SKIPPED)
            if row.status in (MessageState.SENT, MessageState.FAILED):
                assert self.verdicts[message_id] == {row.status}  # of whoever had the message, and of nobody else
            before = self.before.get(message_id)
            if before is None:
                assert row.status in (MessageState.PENDING, MessageState.EXPIRED, MessageState.SKIPPED)
                continue
            if before.status in FINAL_STATES:
                assert row == before
            assert row.status == before.status or MessageState(row.status) in MOVES[MessageState(before.status)]
            if before.status == MessageState.RETRYING and before.due_at > now:
                assert row.status == MessageState.RETRYING or row.status in FINAL_STATES  # its rung is not over
            if (before.status, row.status) == (MessageState.SENDING, MessageState.PENDING):
                assert row.attempts == before.attempts or row.attempts < ATTEMPTS
            assert before.attempts <= row.attempts <= before.attempts + 1
            assert before.calls + row.attempts - before.attempts <= row.calls <= before.calls + 1
            assert (row.id, row.mailing_id, row.client_id) == (before.id, before.mailing_id, before.client_id)
        for message_id, claim_id in self.live.items():
            assert (after[message_id].status, after[message_id].claim_id) == (MessageState.SENDING, claim_id)
        self.before = after

    def teardown(self) -> None:
        """Users leave it alone, crashed dispatchers stay away: everything comes to its end."""
        self.books.run("update mailings set window_from = null, window_until = null")
        for mailing_id in self.mailings:
            self.resume(mailing_id)
        for _ in range(3):
            self.let_leases_run_out(list(self.before))
            self.books.rescue(ATTEMPTS, 1000)
            self.time_passes(1, 0)
            for mailing_id in self.mailings:
                self.books.launch(mailing_id)
                self.close(mailing_id, 1000, 0)
                claimed = self.books.claim(mailing_id, self.books.due(mailing_id))
                assert self.books.record(Finish(MessageState.SENT), claimed) == 0
        with self.engine.connect() as connection:
            mailings = due_mailings(connection)
        for mailing in mailings:
            if mailing.is_to_close:
                assert self.books.move(close_slice, mailing) == 0
        self.finish()
        assert [row.id for row in self.books.run("select id from mailings where finished_at is null")] == []
        assert {row.status for row in self.books.run("select distinct status from messages")} <= FINAL_STATES
        self.books.check()

    # ---------------------------------------------------------------- the play's own means

    def mailing(self, which: int) -> int:
        return self.mailings[which % len(self.mailings)]

    def set_window(self, mailing_id: int, kind: str | None) -> None:
        start, end = window(kind)
        self.books.run(
            "update mailings set window_from = :start, window_until = :end where id = :id",
            start=start, end=end, id=mailing_id,
        )  # fmt: skip

    def is_running(self, mailing_id: int) -> bool:
        rows = self.books.run(
            "select from mailings where id = :id and paused_at is null and cancelled_at is null and ends_at > now()",
            id=mailing_id,
        )
        return len(rows) == 1

    def is_reachable(self, mailing_id: int, client_id: int) -> bool:
        """Whether his window is open; a client who is gone has none."""
        rows = self.books.run(
            """select window_from, window_until, timezone from mailings, clients c
               where mailings.id = :mailing_id and c.id = :client_id and window_from is not null""",
            mailing_id=mailing_id, client_id=client_id,
        )  # fmt: skip
        return all(Window(row[0], row[1]).contains(datetime.now(UTC), ZoneInfo(row[2])) for row in rows)

    @contextmanager
    def somebody_locks(self, which: int) -> Iterator[None]:
        """A message in another transaction, meanwhile; not always."""
        ids = list(self.before)
        if 0 < which <= len(ids):
            with self.engine.begin() as connection:
                connection.execute(text("select from messages where id = :id for update"), {"id": ids[which - 1]})
                yield
        else:
            yield

    def claim_ids(self, which: int, mailing_id: int, ids: Sequence[int], locked: int) -> None:
        running = self.is_running(mailing_id)
        with self.somebody_locks(locked):
            claim = self.dispatcher(which).move(claim_messages, {mailing_id: ids}, lease=LEASE)
        claimed = list(claim.messages) if claim else []
        if claim:
            self.leases_begin_with_it(claim)
        assert running or not claimed
        clients = {row.id for row in self.books.run("select id from clients where suppression_id is null")}
        assert len({message.id for message in claimed}) == len(claimed)
        for message in claimed:
            before = self.before[message.id]
            assert message.id not in self.live
            assert (before.mailing_id, before.client_id) == (message.mailing_id, message.client_id)
            assert claim is not None
            assert before.due_at <= claim.now
            assert message.client_id in clients
            assert self.is_reachable(mailing_id, message.client_id)
            assert message.attempts == before.attempts
            assert message.repeat == (message.id in self.doubtful)
            self.live[message.id] = message.claim_id
            self.repeated[mailing_id] += message.repeat
        if claimed:
            self.claims.append(claimed)

    def leases_begin_with_it(self, claim: Claim) -> None:
        ids = [message.id for message in claim.messages]
        for row in self.books.run("select due_at from messages where id = any(:ids)", ids=ids):
            assert abs(row.due_at - claim.now - LEASE) <= MICROSECONDS

    def write(
        self, which: int, claimed: Sequence[Claimed], outcomes: Sequence[Outcome | None], published: bool
    ) -> None:
        """published: the retry jobs; else the dispatcher dies before, or the broker loses them."""
        in_time = [
            message for message in claimed
            if (self.before[message.id].status, self.before[message.id].claim_id) == ("sending", message.claim_id)
        ]  # fmt: skip
        now = self.books.now()
        batch = [
            verdict(message, outcomes[number % len(outcomes)], now, serves=bool(number % 3))
            for number, message in enumerate(claimed)
        ]
        assert self.dispatcher(which).move(record_verdicts, batch, timedelta(0)) == len(claimed) - len(in_time)
        for message, decision, error, ambiguous, *_ in batch:
            if isinstance(decision, Retry) and published:
                self.jobs.append(Job(message.mailing_id, (message.id,)))
            if message not in in_time:
                continue
            self.live.pop(message.id, None)
            if ambiguous:
                self.doubtful.add(message.id)
            if isinstance(decision, Finish):
                self.verdicts.setdefault(message.id, set()).add(decision.state)
            if isinstance(decision, HandBack) and error is None:
                self.repeated[message.mailing_id] -= message.repeat

    def dispatcher(self, which: int) -> Books:
        return self.dispatchers[which % 2]


def verdict(message: Claimed, outcome: Outcome | None, now: datetime, *, serves: bool) -> Verdict:
    """serves: the provider, others."""
    attempt = Attempt(message, DatabaseClock(now, 0.0), 0.0, 0.0, 0.0, 0.0)
    return Result(attempt, outcome, 0.0, blame(outcome, serves=serves) if outcome else Blame.MESSAGE).verdict(POLICY)


@pytest.mark.timeout(600)  # on a machine that does ten other things
def test_no_order_of_events_breaks_the_books(books_engine: Engine) -> None:
    commit_without_waiting_for_the_disk(books_engine)
    Machine.engine = books_engine
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )  # fmt: skip


def commit_without_waiting_for_the_disk(engine: Engine) -> None:
    """It makes no difference to what is visible to whom, and the machine makes ten thousands of commits."""
    with superuser(engine) as connection:
        name = connection.scalar(text("select current_database()"))
        connection.execute(text(f"alter database {name} set synchronous_commit = off"))
    engine.dispose()
