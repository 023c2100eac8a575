"""The database's thread: claims messages and writes what became of them, in one transaction at a time."""

import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.pipeline.allowance import Allowance
from dispatcher_service.pipeline.in_hand import OUTDATED, Held, InHand, Pick
from dispatcher_service.pipeline.intake import Intake
from dispatcher_service.pipeline.outcomes import show_outcomes
from dispatcher_service.pipeline.receipts import played_receipts
from dispatcher_service.pipeline.recent import Recent
from dispatcher_service.pipeline.settling import Settlement, wake_ups
from dispatcher_service.pipeline.standing import Standing
from dispatcher_service.sending.attempt import DatabaseClock, Result, attempts
from dispatcher_service.sending.built_in import BuiltIn
from dispatcher_service.sending.sender import Sender
from shared import metrics
from shared.clock import ticks
from shared.database.engine import first_line, one_statement
from shared.domain.apart import BUILT_IN
from shared.domain.retry import RetryPolicy
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.logs import logger
from shared.loop import keep_serving
from shared.messages.claim import Claim, claim_messages
from shared.messages.probe import find_probe
from shared.messages.receipts import take_receipts
from shared.messages.remember import record_called
from shared.rates.limits import reserve
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
        limits: Mapping[str, float],
        learn: Callable[[int], object],
        stopping: threading.Event,
        closing: threading.Event,
    ) -> None:
        """lease: seconds that a claim lasts by the database's clock. own_lease: those of them that we count on. limits:
        messages per second over all dispatchers, by the names of `shared.rates.limits`. learn: is told the highest id
        of each claim. stopping: nothing new is claimed. closing: leave, whatever is not recorded."""
        self._engine = engine
        self._policy = policy
        self._sender, self._built_in = sender, built_in
        self._intake = intake
        self._lease, self._own_lease = lease, own_lease
        self._limits = limits
        self._allowance = Allowance(random.random)
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
        results = self._due_results()
        verdicts = [result.verdict(self._policy) for result in results]
        remembered = self._recent.besides(verdicts) if self._is_shaken else ()
        is_first = self._is_shaken and (results or remembered)
        picks = [] if is_first else self._picks(at_once=bool(results))
        tests = [] if is_first or self._stopping.is_set() else self._in_hand.pick(TESTS, ticks(), is_test=True)
        if not results and not picks and not tests and not remembered and not self._pace_note.is_due:
            return
        since = ticks()
        lease, pause = timedelta(seconds=self._lease), timedelta(seconds=self._sender.pause)
        stuck, outages = self._sender.take_stuck(), self._sender.outages
        claim: Claim | None = None
        try:
            with connection.begin(), open_entries(connection, self._slot) as entries:
                if self._pace_note.is_due:
                    self._pace_note.write(connection, self._sender.speed, self._sender.trouble)
                late = record_called(connection, entries, verdicts, pause) if verdicts else 0
                known = record_called(connection, entries, remembered, pause) if remembered else 0
                if receipts := played_receipts([*verdicts, *remembered]):
                    take_receipts(connection, entries, BUILT_IN, receipts)
                self._standing.write(connection, entries, _really(results), stuck)
                if outages != self._outages:
                    provider_returned(connection)
                picks, job = self._permitted(connection, picks)
                if job or tests:
                    claim = claim_messages(connection, entries, {**job, **_by_mailing(tests)}, lease=lease)
        except SQLAlchemyError:
            self._hand_back(claim, since)
            raise
        self._is_shaken = False
        self._recent.add(verdicts, ticks())
        if forgotten := len(remembered) - known:
            self._log.warning("database_had_forgotten", results=forgotten)
        self._outages = outages
        self._standing.confirm()
        if picks or tests or claim:
            self._take_claim(picks, sum(map(len, job.values())), claim, since)
            self._in_hand.take(tests, 0)
        if results:
            self._forget(results)
            show_outcomes(results, verdicts, late)
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

    def _picks(self, *, at_once: bool) -> list[Pick]:
        """What to claim now from the jobs in hand: as much as the sender has room for.

        at_once: even if it is little.
        """
        while self._received:
            self._in_hand.hold(self._received.popleft())
        room, now = self._room(), ticks()
        if not at_once and room < self._sender.load and now - self._last_claim < CLAIM_DELAY:
            return []
        picks = self._in_hand.pick(room, now)
        if picks and self._limits:
            picks = self._in_hand.pick(self._reserved(sum(len(pick.message_ids) for pick in picks)), now)
        if picks:
            self._last_claim = now
        return picks

    def _permitted(
        self, connection: Connection, picks: Sequence[Pick]
    ) -> tuple[list[Pick], Mapping[int, Sequence[int]]]:
        """What of it is decided now, and what of that is claimed, by mailing. While the breaker is open that is a
        probe, if there is one in the database; it may be of another mailing than those in hand."""
        if picks and self._sender.is_probing and (probe := find_probe(connection, self._last_probed)):
            self._last_probed = probe.mailing_id
            return [], {probe.mailing_id: [probe.message_id]}
        # What a mailing has no room for leaves its place to others in hand, of which it is to be asked as well.
        wanted, asked = sum(len(pick.message_ids) for pick in picks), set[int]()
        some: dict[int, int] = {}
        none: set[int] = set()
        job = _by_mailing(picks)
        while new := job.keys() - asked:
            asked |= new
            room = self._standing.room(connection, new)
            none.update(room.none)
            some |= room.some
            if any(len(job[each]) > left for each, left in room.some.items()):
                picks = self._in_hand.pick(wanted, ticks(), some)
                job = _by_mailing(picks)
        # What is to have nothing at all waits no more: it is published again when it may be claimed.
        return list(picks), {each: ids for each, ids in job.items() if each not in none}

    def _room(self) -> int:
        """How many messages the sender has room for."""
        return 0 if self._stopping.is_set() else self._sender.room

    def _reserved(self, wanted: int) -> int:
        """How many of these messages may be claimed by the limits. What is claimed can go out within half a second."""
        if self._allowance.asks(ticks()):
            with one_statement(self._engine) as connection:
                worth = self._allowance.worth(wanted, self._in_hand.job, min(self._limits.values()))
                reserved = reserve(connection, self._limits, worth)
            self._allowance.got(*reserved, ticks())
        return min(wanted, self._allowance.left(ticks()))

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
            moments = self._allowance.use(claimed) if self._limits else ()
            self._sender.offer(attempts(claim, since, self._own_lease, moments))
        metrics.MESSAGES_CLAIMED.inc(claimed)
        metrics.MESSAGES_SKIPPED.inc(max(0, wanted - claimed))
        self._in_hand.take(picks, self._sender.offered)
        if self._allowance.left(ticks()):
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


def _by_mailing(picks: Iterable[Pick]) -> dict[int, list[int]]:
    ids: dict[int, list[int]] = defaultdict(list)
    for pick in picks:
        ids[pick.piece.mailing_id].extend(pick.message_ids)
    return ids
