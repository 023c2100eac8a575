"""The dispatcher's pipeline: receive jobs → claim → send → record → settle, in batches.

Three threads that meet only at queues: one talks to the broker, one to the database, one to the provider. The order of
settling is status committed, then retry jobs confirmed, then ack: a crash in between costs a job that comes again and
finds nothing to do.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dispatcher_service.sending.attempt import Result, attempts
from dispatcher_service.sending.sender import Sender
from shared import metrics
from shared.broker import topology
from shared.broker.backoff import backoff
from shared.broker.base import Broker, Delivery, Session
from shared.clock import ticks
from shared.database.engine import first_line
from shared.domain.errors import BrokerError, UndecodableJob
from shared.domain.job import DispatchJob
from shared.domain.retry import Finish, HandBack, Retry, RetryPolicy
from shared.ledger.entries import any_slot, open_entries
from shared.logs import logger
from shared.messages.claim import Claim, claim_messages
from shared.messages.record import Verdict, record_verdicts

PREFETCH = 10
"""Jobs. The next ones lie ready while the statuses of the last ones are written; more would be kept from the others."""

RECORD_ROWS = 600
RECORD_DELAY = 0.03
"""Results are written when so many have come in, when the oldest has waited for so many seconds, or when there is
nothing left to wait for."""

CLAIM_DELAY = 0.03
"""Messages are claimed with the results that are written; without any when the sender has less than half of what it can
take, or so many seconds after the last claim."""

LEASE_MARGIN = 20.0
"""Seconds that a lease lasts beyond the provider's time-out: for the way to the wire and the writing of the result."""

STOP_WITHIN = 18.0
HEARTBEAT = 1.0


@dataclass(slots=True, eq=False)
class Held:
    """A job that was received. waiting: ids to be claimed. claims: those with messages of this job on their way."""

    delivery: Delivery
    mailing_id: int
    waiting: deque[int]
    claims: set[int] = field(default_factory=set)

    @property
    def is_done(self) -> bool:
        return not self.waiting and not self.claims


@dataclass(slots=True)
class Pick:
    """What is to be claimed of one mailing: so many ids from the head of each of these jobs."""

    message_ids: list[int] = field(default_factory=list)
    jobs: list[tuple[Held, int]] = field(default_factory=list)


@dataclass(slots=True)
class OpenClaim:
    """open: its messages on their way. jobs: those that it was made for."""

    open: int
    jobs: Sequence[Held]


@dataclass(frozen=True, slots=True)
class Settlement:
    """retries: jobs to be published, by queue; they are confirmed before the deliveries are acked."""

    retries: dict[str, list[bytes]]
    done: Sequence[Delivery]


class Worker:
    """One dispatcher. `start` returns at once; `stop` hands back or finishes what is in flight."""

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        policy: RetryPolicy,
        *,
        provider_url: str,
        provider_token: str,
        timeout: float,
        concurrency: int,
        rate: float,
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._policy = policy
        self._rate = rate
        # At a low rate a message waits long for its moment; without a lease that lasts it would never be sent.
        self._lease = timeout + LEASE_MARGIN + (1 / rate if rate else 0.0)
        self._slot = any_slot()
        self._log = logger()
        self._sender = Sender(
            provider_url, provider_token, timeout=timeout, concurrency=concurrency, deliver=self._take_results
        )
        self._last_claim = 0.0

        self._received: deque[Held] = deque()  # from the broker's thread to the store's
        self._results: deque[Result] = deque()  # from the sender's thread to the store's
        self._settlements: deque[Settlement] = deque()  # from the store's thread to the broker's
        self._store_wake = threading.Event()
        self._session: Session | None = None

        self._held: list[Held] = []  # the store's own
        self._claims: dict[int, OpenClaim] = {}  # by id, the store's own
        self._unrecorded: deque[Result] = deque()  # the store's own
        self._is_shaken = False  # the last transaction failed; the store's own

        self._stopping = threading.Event()  # nothing new is begun
        self._closing = threading.Event()  # everything is recorded: settle and leave
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("broker", self._talk), ("store", self._store), ("sender", self._sender.run))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> bool:
        """Finishes or hands back what is in flight, within STOP_WITHIN seconds; whether everything was recorded."""
        end = ticks() + STOP_WITHIN
        self._stopping.set()
        self._sender.stop(within=STOP_WITHIN - 4)
        broker, store, sender = self._threads
        sender.join(end - ticks())
        self._store_wake.set()
        store.join(max(0.1, end - ticks()))
        self._closing.set()
        self._wake_broker()
        broker.join(max(0.1, end + 1 - ticks()))
        return not store.is_alive()

    # ---------------------------------------------------------------- the broker's thread

    def _talk(self) -> None:
        """Receives and settles, on one connection after the other."""
        pauses = backoff()
        while not self._closing.is_set():
            try:
                with self._broker.connect() as session:
                    session.subscribe([topology.DISPATCH], PREFETCH)
                    self._session = session
                    self._log.info("broker_connected")
                    pauses = backoff()
                    self._serve(session)
            except BrokerError as error:
                pause = next(pauses)
                metrics.BROKER_RECONNECTS.inc()
                self._log.warning("broker_lost", error=str(error), again_in=round(pause, 1))
                self._settlements.clear()  # their deliveries come again, and lost retries are found by their due time
                self._closing.wait(pause)
            finally:
                self._session = None

    def _serve(self, session: Session) -> None:
        while True:
            while self._settlements:
                self._settle(session, self._settlements.popleft())
            if self._closing.is_set():
                return
            for delivery in session.receive(HEARTBEAT):
                if not self._stopping.is_set():  # else it goes back when the session is closed
                    self._accept(session, delivery)

    def _accept(self, session: Session, delivery: Delivery) -> None:
        metrics.JOBS_RECEIVED.inc()
        try:
            job = DispatchJob.decode(delivery.body)
        except UndecodableJob as error:
            metrics.JOBS_BURIED.inc()
            self._log.error("job_buried", queue=delivery.queue, reason=str(error))
            session.bury(delivery, str(error))
            return
        self._received.append(Held(delivery, job.mailing_id, deque(job.message_ids)))
        self._store_wake.set()

    def _settle(self, session: Session, settlement: Settlement) -> None:
        for queue, bodies in settlement.retries.items():
            session.publish(queue, bodies)
        for delivery in settlement.done:
            session.ack(delivery)

    def _wake_broker(self) -> None:
        session = self._session
        if session is not None:
            session.wake()

    # ---------------------------------------------------------------- the sender's thread

    def _take_results(self, results: Sequence[Result]) -> None:
        self._results.extend(results)
        if len(self._results) >= RECORD_ROWS or not self._sender.load:
            self._store_wake.set()

    # ---------------------------------------------------------------- the store's thread

    def _store(self) -> None:
        """Claims and records, on one connection after the other."""
        pauses = backoff()
        while not self._is_finished():
            try:
                with self._engine.connect() as connection:
                    while not self._is_finished():
                        self._store_wake.wait(self._patience())
                        self._store_wake.clear()
                        self._take_turn(connection)
                        self._let_go()
                        pauses = backoff()
            except SQLAlchemyError as error:
                self._is_shaken = True
                pause = next(pauses)
                metrics.STORE_RETRIES.inc()
                self._log.warning("database_lost", error=first_line(error), again_in=round(pause, 1))
                self._closing.wait(pause)

    def _patience(self) -> float:
        """How long there is nothing to do, unless something comes in that says so."""
        if self._unrecorded or self._results:
            oldest = (self._unrecorded or self._results)[0]
            return max(0.0, oldest.at + RECORD_DELAY - ticks())
        return RECORD_DELAY if self._held or self._claims else HEARTBEAT

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
            self._report(results, verdicts, late)
            if retries := _retry_jobs(verdicts):
                self._settlements.append(Settlement(retries, ()))

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
                self._store_wake.set()  # the rest with the next turn
                break
            due[result.attempt.message.id] = result
        return list(due.values())

    def _picks(self, *, at_once: bool) -> dict[int, Pick]:
        """What to claim now from the jobs in hand, by mailing: as much as the sender has room for.

        at_once: even if it is little.
        """
        while self._received:
            self._hold(self._received.popleft())
        room, now = self._room(), ticks()
        picks: dict[int, Pick] = {}
        if not at_once and room < self._sender.load and now - self._last_claim < CLAIM_DELAY:
            return picks
        for held in self._held:
            if room and held.waiting:
                count = min(room, len(held.waiting))
                pick = picks.setdefault(held.mailing_id, Pick())
                pick.message_ids.extend(islice(held.waiting, count))
                pick.jobs.append((held, count))
                room -= count
        if picks:
            self._last_claim = now
        return picks

    def _hold(self, new: Held) -> None:
        """A job that came again, as all do when their session is lost, takes the place of the one in hand."""
        for held in self._held:
            if held.delivery.body == new.delivery.body:
                held.waiting.clear()
        self._held.append(new)

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
        for held, count in pick.jobs:
            for _ in range(count):
                held.waiting.popleft()
        claimed = claim.messages if claim else ()
        metrics.MESSAGES_CLAIMED.inc(len(claimed))
        metrics.MESSAGES_SKIPPED.inc(len(pick.message_ids) - len(claimed))
        if claim:
            self._own(pick, claim)
            self._sender.offer(attempts(claim, since, self._lease, self._rate))

    def _hand_back(self, picks: Iterable[Pick], claims: Iterable[Claim | None], since: float) -> None:
        """Claims of which nobody knows whether they were committed. If they were not, this moves nothing."""
        for pick, claim in zip(picks, claims, strict=False):
            if claim:
                self._own(pick, claim)
                unmade = attempts(claim, since, self._lease, self._rate)
                self._unrecorded.extend(Result(attempt, None, since) for attempt in unmade)

    def _own(self, pick: Pick, claim: Claim) -> None:
        jobs = [held for held, _ in pick.jobs]
        self._claims[claim.id] = OpenClaim(len(claim.messages), jobs)
        for held in jobs:
            held.claims.add(claim.id)

    def _forget(self, results: Sequence[Result]) -> None:
        """Results that are written."""
        for _ in results:
            self._unrecorded.popleft()
        for claim_id, count in Counter(result.attempt.message.claim_id for result in results).items():
            claim = self._claims[claim_id]
            claim.open -= count
            if not claim.open:
                del self._claims[claim_id]
                for held in claim.jobs:
                    held.claims.discard(claim_id)

    def _is_time_to_record(self) -> bool:
        return (
            len(self._unrecorded) >= RECORD_ROWS
            or ticks() - self._unrecorded[0].at >= RECORD_DELAY
            or not self._sender.load
            or self._stopping.is_set()
        )

    def _let_go(self) -> None:
        """Acks jobs that are done. When those in hand are most of the prefetch and leave less to be claimed than there
        is room for, also the ones of which everything is on its way: from the claim on it is the lease that guards a
        message, not the job. Else a fast provider would wait for the next jobs, and calls that hang would keep them
        out."""
        waiting = sum(len(held.waiting) for held in self._held)
        crowded = len(self._held) >= PREFETCH - 2 and waiting < self._room()
        done = [held for held in self._held if held.is_done or (crowded and not held.waiting)]
        if done:
            gone = set(map(id, done))
            self._held = [held for held in self._held if id(held) not in gone]
            self._settlements.append(Settlement({}, [held.delivery for held in done]))
        if self._settlements:
            self._wake_broker()

    def _report(self, batch: Sequence[Result], verdicts: Sequence[Verdict], late: int) -> None:
        metrics.RESULTS_LATE.inc(late)
        if late:
            self._log.warning("results_late", count=late)
        metrics.MESSAGES_REPEATED.inc(sum(result.attempt.message.repeat for result in batch if result.outcome))
        for kind, count in Counter(result.outcome.kind for result in batch if result.outcome).items():
            metrics.ATTEMPTS.labels(kind).inc(count)
        for result, verdict in zip(batch, verdicts, strict=True):
            if result.outcome is None:
                metrics.MESSAGES_HANDED_BACK.labels("not_started").inc()
                continue
            if verdict.error is None:
                continue
            metrics.ERRORS.labels(verdict.error).inc()
            if isinstance(verdict.decision, HandBack):
                metrics.MESSAGES_HANDED_BACK.labels(verdict.error).inc()
            elif isinstance(verdict.decision, Finish):
                self._log.info(
                    "message_not_sent",
                    state=verdict.decision.state,
                    error=verdict.error,
                    attempts=verdict.message.attempts + 1,
                    mailing_id=verdict.message.mailing_id,
                    message_id=verdict.message.id,
                    client_id=verdict.message.client_id,
                )


def _retry_jobs(verdicts: Sequence[Verdict]) -> dict[str, list[bytes]]:
    """The jobs that bring messages back after their rung, by queue."""
    ids: dict[tuple[timedelta, int], list[int]] = defaultdict(list)
    for verdict in verdicts:
        if isinstance(verdict.decision, Retry):
            ids[verdict.decision.delay, verdict.message.mailing_id].append(verdict.message.id)
    jobs: dict[str, list[bytes]] = defaultdict(list)
    for (delay, mailing_id), message_ids in ids.items():
        jobs[topology.retry_queue(delay)].append(DispatchJob(mailing_id, tuple(sorted(message_ids))).encode())
    return jobs
