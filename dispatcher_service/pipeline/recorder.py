"""The database's thread: claims messages and writes what became of them, in one transaction at a time."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.pipeline.in_hand import Held, InHand, Pick
from dispatcher_service.pipeline.intake import Intake
from dispatcher_service.pipeline.outcomes import show_outcomes
from dispatcher_service.pipeline.settling import Settlement, retry_jobs
from dispatcher_service.sending.attempt import Result, attempts
from dispatcher_service.sending.sender import Sender
from shared import metrics
from shared.clock import ticks
from shared.database.engine import first_line
from shared.domain.retry import RetryPolicy
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.logs import logger
from shared.loop import keep_serving
from shared.messages.claim import Claim, claim_messages
from shared.messages.record import record_verdicts

RECORD_ROWS = 600
RECORD_DELAY = 0.03
"""Results are written when so many have come in, when the oldest has waited for so many seconds, or when there is
nothing left to wait for."""

CLAIM_DELAY = 0.03
"""Messages are claimed with the results that are written; without any when the sender has less than half of what it can
take, or so many seconds after the last claim."""

HEARTBEAT = 1.0


class Recorder:
    """`run` in a thread of its own. `take_job` is for the intake's thread, `take_results` for the sender's."""

    def __init__(
        self,
        engine: Engine,
        policy: RetryPolicy,
        sender: Sender,
        intake: Intake,
        *,
        lease: float,
        own_lease: float,
        rate: float,
        learn: Callable[[int], object],
        stopping: threading.Event,
        closing: threading.Event,
    ) -> None:
        """lease: seconds that a claim lasts by the database's clock. own_lease: those of them that we count on. rate:
        messages per second over all dispatchers, 0 for no limit. learn: is told the highest id of each
        claim. stopping: nothing new is claimed. closing: leave, whatever is not recorded."""
        self._engine = engine
        self._policy = policy
        self._sender = sender
        self._intake = intake
        self._lease, self._own_lease = lease, own_lease
        self._rate = rate
        self._learn = learn
        self._stopping, self._closing = stopping, closing
        self._slot = Slot("recorder")
        self._log = logger()
        self._woken = threading.Event()
        self._received: deque[Held] = deque()  # written by the intake's thread, read by this one
        self._results: deque[Result] = deque()  # written by the sender's thread, read by this one

        self._in_hand = InHand()
        self._unrecorded: deque[Result] = deque()
        self._last_claim = 0.0
        self._is_shaken = False  # the last transaction failed

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
        return RECORD_DELAY if not self._in_hand.is_empty else HEARTBEAT

    def _is_finished(self) -> bool:
        if self._closing.is_set():
            return True
        # The sender first: its last results come in right before it ends.
        return self._stopping.is_set() and self._sender.join(0) and not self._results and not self._unrecorded

    def _take_turn(self, connection: Connection) -> None:
        """Writes results and claims what there is room for, in one transaction: half the statements of two.

        After a failure the results come first, and alone: they are what must not be lost.
        """
        results = self._due_results()
        picks = {} if self._is_shaken and results else self._picks(at_once=bool(results))
        if not results and not picks:
            return
        since = ticks()
        verdicts = [result.verdict(self._policy) for result in results]
        lease, pause = timedelta(seconds=self._lease), timedelta(seconds=self._sender.pause)
        claims: list[Claim | None] = []
        try:
            with connection.begin(), open_entries(connection, self._slot) as entries:
                late = record_verdicts(connection, entries, verdicts, pause) if verdicts else 0
                for mailing_id, pick in picks.items():
                    claims.append(
                        claim_messages(connection, entries, mailing_id, pick.message_ids, lease=lease, rate=self._rate)
                    )
        except SQLAlchemyError:
            self._hand_back(picks.values(), claims, since)
            raise
        self._is_shaken = False
        for pick, claim in zip(picks.values(), claims, strict=True):
            self._take_claim(pick, claim, since)
        if results:
            self._forget(results)
            show_outcomes(results, verdicts, late)
            if retries := retry_jobs(verdicts):
                self._intake.settle(Settlement(retries, ()))

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

    def _picks(self, *, at_once: bool) -> dict[int, Pick]:
        """What to claim now from the jobs in hand, by mailing: as much as the sender has room for.

        at_once: even if it is little.
        """
        while self._received:
            self._in_hand.hold(self._received.popleft())
        room, now = self._room(), ticks()
        if not at_once and room < self._sender.load and now - self._last_claim < CLAIM_DELAY:
            return {}
        picks = self._in_hand.pick(room)
        if picks:
            self._last_claim = now
        return picks

    def _room(self) -> int:
        """How many messages to claim now. Where the rate is limited, no more than can be sent soon."""
        if self._stopping.is_set():
            return 0
        room = self._sender.room
        if self._rate:
            room = min(room, max(1, int(self._rate / 2)) - self._sender.unsent)
        return max(0, room)

    def _take_claim(self, pick: Pick, claim: Claim | None, since: float) -> None:
        """What was claimed goes to the sender. since: when the claim was asked for."""
        self._in_hand.take(pick)
        claimed = claim.messages if claim else ()
        metrics.MESSAGES_CLAIMED.inc(len(claimed))
        metrics.MESSAGES_SKIPPED.inc(len(pick.message_ids) - len(claimed))
        if claim:
            self._learn(max((message.id for message in claimed), default=0))
            self._in_hand.own(pick, claim.id, len(claim.messages))
            self._sender.offer(attempts(claim, since, self._own_lease, self._rate))

    def _hand_back(self, picks: Iterable[Pick], claims: Iterable[Claim | None], since: float) -> None:
        """Claims of which nobody knows whether they were committed. If they were not, this moves nothing."""
        for pick, claim in zip(picks, claims, strict=False):
            if claim:
                self._in_hand.own(pick, claim.id, len(claim.messages))
                unmade = attempts(claim, since, self._own_lease, self._rate)
                self._unrecorded.extend(Result(attempt, None, since) for attempt in unmade)

    def _forget(self, results: Sequence[Result]) -> None:
        """Results that are written."""
        for _ in results:
            self._unrecorded.popleft()
        for claim_id, count in Counter(result.attempt.message.claim_id for result in results).items():
            self._in_hand.forget(claim_id, count)

    def _is_time_to_record(self) -> bool:
        return (
            len(self._unrecorded) >= RECORD_ROWS
            or ticks() - self._unrecorded[0].at >= RECORD_DELAY
            or not self._sender.load
            or self._stopping.is_set()
        )

    def _let_go(self) -> None:
        """Jobs that need not be held any longer are acked."""
        if done := self._in_hand.let_go(self._room()):
            self._intake.settle(Settlement({}, done))
        self._intake.hurry()
