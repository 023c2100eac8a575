"""The database's thread: claims messages and writes what became of them, in one transaction at a time."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.pipeline.choice import Plan, Sole, Together
from dispatcher_service.pipeline.in_hand import OUTDATED, Held, InHand, Pick
from dispatcher_service.pipeline.intake import Intake
from dispatcher_service.pipeline.outcomes import show_outcomes
from dispatcher_service.pipeline.permits import Permits
from dispatcher_service.pipeline.receipts import played_receipts
from dispatcher_service.pipeline.recent import Recent
from dispatcher_service.pipeline.routes import Probing, Routes
from dispatcher_service.pipeline.settling import Settlement, wake_ups
from dispatcher_service.pipeline.standing import Standing
from dispatcher_service.sending.attempt import DatabaseClock, Result, attempts
from dispatcher_service.sending.built_in import BuiltIn
from dispatcher_service.sending.sender import Sender
from shared import metrics
from shared.clock import ticks
from shared.database.engine import first_line
from shared.domain.apart import BUILT_IN
from shared.domain.retry import RetryPolicy
from shared.domain.seen import Seen
from shared.ledger.entries import Entries, open_entries
from shared.ledger.slot import Slot
from shared.logs import logger
from shared.loop import keep_serving
from shared.messages.claim import Assigned, Claim, Claimed, claim_messages
from shared.messages.probe import find_probe
from shared.messages.receipts import take_receipts
from shared.messages.remember import record_called
from shared.rates.paces import PaceNote
from shared.standing import provider_returned

RECORD_ROWS = 600
RECORD_DELAY = 0.03
"""Results are written when so many have come in, when the oldest has waited for so many seconds, or when there is
nothing left to wait for."""

CLAIM_DELAY = 0.03
"""Messages are claimed with the results that are written; without any when the sender has less than half of what it can
take, or so many seconds after the last claim."""

TESTS = 200
"""Messages of tests that are claimed at a time, beside what is really sent."""

HEARTBEAT = 1.0

Job = Mapping[int, Sequence[int]]
"""Messages, by mailing."""

Ways = Mapping[int, Assigned]
"""Which way each goes; none where there is one provider."""


class Recorder:
    """`run` in a thread of its own. `take_job` is for the intake's thread, `take_results` for the sender's."""

    def __init__(
        self,
        engine: Engine,
        policy: RetryPolicy,
        sender: Sender,
        built_in: BuiltIn,
        intake: Intake,
        *,
        lease: float,
        own_lease: float,
        routes: Routes,
        permits: Permits,
        learn: Callable[[int], object],
        stopping: threading.Event,
        closing: threading.Event,
    ) -> None:
        """lease: seconds that a claim lasts by the database's clock. own_lease: those of them that we count on. routes:
        who may take what. permits: how much of it by the limits. learn: is told the highest id of each claim. stopping:
        nothing new is claimed. closing: leave, whatever is not recorded."""
        self._engine = engine
        self._policy = policy
        self._sender, self._built_in = sender, built_in
        self._intake = intake
        self._lease, self._own_lease = lease, own_lease
        self._routes, self._permits = routes, permits
        self._learn = learn
        self._stopping, self._closing = stopping, closing
        self._slot = Slot("recorder")
        self._pace_note = PaceNote()
        self._log = logger()
        self._woken = threading.Event()
        self._received: deque[Held] = deque()  # written by the intake's thread, read by this one
        self._results: deque[Result] = deque()  # written by the sender's thread, read by this one

        self._in_hand = InHand()
        self._standing = Standing()
        self._recent = Recent()
        self._outages = 0  # of the provider, those whose end is written down
        self._last_probed: int | None = None  # the mailing of the last probe
        self._unrecorded: deque[Result] = deque()
        self._last_claim = 0.0
        self._is_shaken = False  # the last transaction failed
        self._clock: DatabaseClock | None = None  # as the last claim has read it

    # ---- from other threads

    def take_job(self, job: Held) -> None:
        self._received.append(job)
        self._woken.set()

    def take_results(self, results: Sequence[Result]) -> None:
        self._results.extend(results)
        if len(self._results) >= RECORD_ROWS or not self._sender.load:
            self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    # ---- the thread's own

    def run(self) -> None:
        """Claims and records, on one connection after the other."""
        keep_serving(self._serve, SQLAlchemyError, self._lost, is_over=self._is_finished, wait=self._closing.wait)

    def _serve(self, all_is_well: Callable[[], None]) -> None:
        with self._engine.connect() as connection:
            while not self._is_finished():
                self._woken.wait(self._patience())
                self._woken.clear()
                self._take_turn(connection)
                self._let_go()
                all_is_well()

    def _lost(self, error: SQLAlchemyError, pause: float) -> None:
        self._is_shaken = True
        metrics.STORE_RETRIES.inc()
        self._log.warning("database_lost", error=first_line(error), again_in=round(pause, 1))

    def _patience(self) -> float:
        """How long there is nothing to do, unless something comes in that says so."""
        if self._unrecorded or self._results:
            oldest = (self._unrecorded or self._results)[0]
            return max(0.0, oldest.at + RECORD_DELAY - ticks())
        return RECORD_DELAY if self._sender.load or not self._in_hand.is_empty else HEARTBEAT

    def _is_finished(self) -> bool:
        if self._closing.is_set():
            return True
        # The providers first: their last results come in right before they end.
        are_done = self._sender.join(0) and self._built_in.join(0)
        return self._stopping.is_set() and are_done and not self._results and not self._unrecorded

    def _take_turn(self, connection: Connection) -> None:
        """Writes results and claims what there is room for, in one transaction: half the statements of two.

        After a failure the results come first, and alone: they are what must not be lost. With them those of the last
        seconds, as this may be another database than that which has taken them.
        """
        if self._routes.is_due:
            self._look_at_routes(connection)
        results = self._due_results()
        verdicts = [result.verdict(self._policy) for result in results]
        remembered = self._recent.besides(verdicts) if self._is_shaken else ()
        is_first = self._is_shaken and (results or remembered)
        is_closed = is_first or self._stopping.is_set()
        picks, plan = ([], Sole(0)) if is_first else self._picks(at_once=bool(results))
        tests = [] if is_closed else self._in_hand.pick(TESTS, ticks(), is_test=True)
        probes = () if is_closed else tuple(self._routes.probes())
        self._pace_note.see({name: line.open for name, line in self._sender.lines.items()})
        if not (results or picks or tests or probes or remembered or self._pace_note.is_due):
            return
        since = ticks()
        lease, pause = timedelta(seconds=self._lease), timedelta(seconds=self._sender.pause)
        stuck, outages = self._sender.take_stuck(), self._sender.outages
        claim: Claim | None = None
        try:
            with connection.begin(), open_entries(connection, self._slot) as entries:
                if self._pace_note.is_due:
                    self._pace_note.write(connection, self._sender.speed, self._seen())
                late = record_called(connection, entries, verdicts, pause) if verdicts else 0
                known = record_called(connection, entries, remembered, pause) if remembered else 0
                if receipts := played_receipts([*verdicts, *remembered]):
                    take_receipts(connection, entries, BUILT_IN, receipts)
                self._standing.write(connection, entries, _really(results), stuck)
                if outages != self._outages:
                    provider_returned(connection)
                picks, plan, job, assigned = self._permitted(connection, picks, plan, probes)
                if job or tests:
                    each = ((job, assigned), (_by_mailing(tests), None))
                    claim = _claim(connection, entries, each, lease)
        except SQLAlchemyError:
            self._hand_back(claim, since)
            raise
        self._is_shaken = False
        self._recent.add(verdicts, ticks())
        if forgotten := len(remembered) - known:
            self._log.warning("database_had_forgotten", results=forgotten)
        self._outages = outages
        self._standing.confirm()
        self._routes.settle(plan)
        if picks or tests or claim:
            self._take_claim(picks, sum(map(len, job.values())), claim, since)
            self._in_hand.take(tests, 0)
        if results:
            self._forget(results)
            show_outcomes(results, verdicts, late, self._routes.name)
            if jobs := wake_ups(verdicts):
                self._intake.settle(Settlement(jobs, ()))

    def _due_results(self) -> Sequence[Result]:
        """The results that are to be written now: no message twice, as a late result of an old claim may wait beside
        one of a newer claim."""
        while self._results and len(self._unrecorded) < 4 * RECORD_ROWS:
            self._unrecorded.append(self._results.popleft())
        if not self._unrecorded or not self._is_time_to_record():
            return ()
        due: dict[int, Result] = {}
        for result in self._unrecorded:
            if result.attempt.message.id in due:
                self._woken.set()  # the rest with the next turn
                break
            due[result.attempt.message.id] = result
        return list(due.values())

    def _look_at_routes(self, connection: Connection) -> None:
        with connection.begin():
            self._routes.look(connection)
        self._routes.looked()

    def _seen(self) -> Mapping[str, Seen]:
        return {name: line.seen(is_short=self._permits.is_short(name)) for name, line in self._sender.lines.items()}

    def _picks(self, *, at_once: bool) -> tuple[list[Pick], Plan | Sole]:
        """What to claim now from the jobs in hand, as much as there is room for; and who takes it.

        at_once: even if it is little.
        """
        while self._received:
            self._in_hand.hold(self._received.popleft())
        if closed := self._routes.closed():
            self._in_hand.drop(closed)
        plan = self._routes.plan()
        room, now = (0 if self._stopping.is_set() else plan.room), ticks()
        if not at_once and room < self._sender.load and now - self._last_claim < CLAIM_DELAY:
            return [], plan
        picks = self._in_hand.pick(room, now, take=plan.take)
        if picks and self._permits:
            plan = plan.within(plan.taken, self._allowed(plan.taken))
            picks = self._in_hand.pick(plan.room, now, take=plan.take)
        if picks:
            self._last_claim = now
        return picks, plan

    def _allowed(self, wanted: Mapping[int, int]) -> Together:
        """How many of these messages, by provider, may be claimed by the limits. Who takes how many of what several of
        them share is not said: that goes by their weights, and not by what they had room for."""
        numbers = {self._routes.name(number): number for number in wanted}
        allowed = self._permits.allowed({name: wanted[number] for name, number in numbers.items()}, self._in_hand.job)
        return {frozenset(numbers[name] for name in names): messages for names, messages in allowed}

    def _permitted(
        self, connection: Connection, picks: Sequence[Pick], plan: Plan | Sole, probes: Iterable[Probing]
    ) -> tuple[list[Pick], Plan | Sole, Job, Ways | None]:
        """What of it is decided now and by which plan, and what of that is claimed, by mailing and with the way of each
        message. While the breaker of the only provider is open that is a probe, if there is one in the database; it may
        be of another mailing than those in hand. With several it is a probe of each that is down as well."""
        is_alone = not self._routes.are_several
        if (
            picks
            and is_alone
            and self._routes.line(0).is_probing
            and (probe := find_probe(connection, self._last_probed))
        ):
            self._last_probed = probe.mailing_id
            return [], plan, {probe.mailing_id: [probe.message_id]}, None
        # What a mailing has no room for leaves its place to others in hand, of which it is to be asked as well.
        wanted, asked = sum(len(pick.message_ids) for pick in picks), set[int]()
        some: dict[int, int] = {}
        none: set[int] = set()
        room, job = dict(plan.taken), _by_mailing(picks)
        while new := job.keys() - asked:
            asked |= new
            found = self._standing.room(connection, new)
            none.update(found.none)
            some |= found.some
            if any(len(job[each]) > left for each, left in found.some.items()):
                plan = plan.within(room)
                picks = self._in_hand.pick(wanted, ticks(), some, plan.take)
                job = _by_mailing(picks)
        # What is to have nothing at all waits no more: it is published again when it may be claimed.
        claimed = [pick for pick in picks if pick.piece.mailing_id not in none]
        job = {each: ids for each, ids in job.items() if each not in none}
        if is_alone:
            return list(picks), plan, job, None
        assigned = _assigned(claimed)
        for provider, lanes in probes:
            if probe := find_probe(connection, self._last_probed, lanes):
                self._last_probed = probe.mailing_id
                if probe.message_id not in assigned:
                    job.setdefault(probe.mailing_id, []).append(probe.message_id)
                assigned[probe.message_id] = Assigned(probe.lane, provider)
        return list(picks), plan, job, assigned

    def _take_claim(self, picks: Sequence[Pick], wanted: int, claim: Claim | None, since: float) -> None:
        """What was claimed goes to the sender, and what is of a test to the built-in provider, whatever the job said.
        wanted: messages that the sender was to get. since: when the claim was asked for."""
        claimed = 0
        if claim:
            self._clock = DatabaseClock(claim.now, since)
            self._learn(max((message.id for message in claim.messages), default=0))
            if tests := [message for message in claim.messages if message.test]:
                self._built_in.offer(attempts(Claim(claim.now, tests), since, self._own_lease))
                claim = Claim(claim.now, [message for message in claim.messages if not message.test])
            claimed = len(claim.messages)
            for provider, messages in _by_provider(claim.messages).items():
                line = self._routes.line(provider)
                moments = self._permits.use(line.name, len(messages))
                self._sender.offer(line, attempts(Claim(claim.now, messages), since, self._own_lease, moments))
        metrics.MESSAGES_CLAIMED.inc(claimed)
        metrics.MESSAGES_SKIPPED.inc(max(0, wanted - claimed))
        self._in_hand.take(picks, self._sender.offered)
        if self._permits.has_some_left:
            self._woken.set()  # what was reserved for messages that are not to be sent goes out with others, at once

    def _hand_back(self, claim: Claim | None, since: float) -> None:
        """A claim of which nobody knows whether it was committed. If it was not, this moves nothing."""
        if claim:
            unmade = attempts(claim, since, self._own_lease)
            self._unrecorded.extend(Result(attempt, None, since) for attempt in unmade)

    def _forget(self, results: Sequence[Result]) -> None:
        """Results that are written."""
        for _ in results:
            self._unrecorded.popleft()

    def _is_time_to_record(self) -> bool:
        return (
            len(self._unrecorded) >= RECORD_ROWS
            or ticks() - self._unrecorded[0].at >= RECORD_DELAY
            or not self._sender.load
            or self._stopping.is_set()
        )

    def _let_go(self) -> None:
        """Jobs that need not be held any longer are acked. What the database's clock shows is known for a while after a
        claim: it may have stepped, and whoever took every job for outdated would claim none, and never know."""
        now = ticks()
        is_known = self._clock is not None and now - self._clock.ticks <= OUTDATED
        clock = self._clock.at(now).timestamp() if self._clock and is_known else None
        if done := self._in_hand.let_go(self._sender.begun, now, clock):
            self._intake.settle(Settlement({}, done))
        self._intake.hurry()


def _really(results: Sequence[Result]) -> Sequence[Result]:
    """Those of what is really sent."""
    return [result for result in results if not result.attempt.message.test]


def _by_provider(messages: Sequence[Claimed]) -> Mapping[int, Sequence[Claimed]]:
    first = messages[0].provider if messages else 0
    if all(message.provider == first for message in messages):
        return {first: messages}
    by_provider: dict[int, list[Claimed]] = defaultdict(list)
    for message in messages:
        by_provider[message.provider].append(message)
    return by_provider


def _assigned(picks: Iterable[Pick]) -> dict[int, Assigned]:
    """The way of each message."""
    assigned = {}
    for pick in picks:
        ids = iter(pick.message_ids)
        for provider, number in pick.shares:
            assigned.update(dict.fromkeys(islice(ids, number), Assigned(pick.piece.lane, provider)))
    return assigned


def _claim(
    connection: Connection, entries: Entries, jobs: Iterable[tuple[Job, Ways | None]], lease: timedelta
) -> Claim | None:
    """What is really sent, and tests, which go through the built-in provider, whoever else there is: each as it is
    assigned, and together where nothing is."""
    found: list[Claim] = []
    alone: dict[int, Sequence[int]] = {}
    for job, assigned in jobs:
        if assigned is None:
            alone |= job
        elif job and (claim := claim_messages(connection, entries, job, lease=lease, assigned=assigned)):
            found.append(claim)
    if alone and (claim := claim_messages(connection, entries, alone, lease=lease)):
        found.append(claim)
    return Claim(found[0].now, [message for claim in found for message in claim.messages]) if found else None


def _by_mailing(picks: Iterable[Pick]) -> dict[int, list[int]]:
    ids: dict[int, list[int]] = defaultdict(list)
    for pick in picks:
        ids[pick.piece.mailing_id].extend(pick.message_ids)
    return ids
