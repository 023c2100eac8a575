"""The retry policy: what an attempt leads to, as a pure function of (outcome, attempts, now, deadline)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.message import Error, MessageState

DEFAULT_LADDER = (
    timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1),
)  # fmt: skip


class OutcomeKind(StrEnum):
    ACCEPTED = "accepted"  # the provider took it
    REFUSED = "refused"  # the provider will never take it
    TRANSIENT = "transient"  # not delivered, another attempt may do
    AMBIGUOUS = "ambiguous"  # the provider may have taken it: only the same id may be tried again
    UNAUTHORIZED = "unauthorized"  # our token is not accepted: says nothing about the message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt led to. `retry_after`: what the provider asked for, in seconds."""

    kind: OutcomeKind
    error: Error | None = None
    retry_after: float = 0.0


ACCEPTED = Outcome(OutcomeKind.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Finish:
    """No more attempts: the message gets this final state."""

    state: MessageState


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after this delay, which is a rung of the ladder."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class HandBack:
    """Back to `pending`; the attempt does not count."""


Decision = Finish | Retry | HandBack


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`ladder`: delays, ascending; after the last one it is repeated. `attempts`: provider calls at the most."""

    ladder: Sequence[timedelta] = DEFAULT_LADDER
    attempts: int = 10

    def decide(self, outcome: Outcome, attempts: int, now: datetime, deadline: datetime) -> Decision:
        """What follows an outcome.

        attempts: calls made, this one included. deadline: nothing may be sent from this moment on.
        A rung that would end after the deadline is replaced by the longest one that fits, but never by one shorter
        than what the provider asked for, as long as that is not more than the top of the ladder.
        """
        match outcome.kind:
            case OutcomeKind.ACCEPTED:
                return Finish(MessageState.SENT)
            case OutcomeKind.REFUSED:
                return Finish(MessageState.FAILED)
            case OutcomeKind.UNAUTHORIZED:
                return HandBack()
        ambiguous = outcome.kind is OutcomeKind.AMBIGUOUS
        if attempts >= self.attempts:
            return Finish(MessageState.UNKNOWN if ambiguous else MessageState.FAILED)
        delay = self._delay(attempts, outcome.retry_after, (deadline - now).total_seconds())
        if delay is None:
            return Finish(MessageState.UNKNOWN if ambiguous else MessageState.EXPIRED)
        return Retry(delay)

    def _delay(self, attempts: int, retry_after: float, left: float) -> timedelta | None:
        top = self.ladder[-1]
        floor = min(timedelta(seconds=min(retry_after, top.total_seconds())), top)
        planned = max(self.ladder[min(attempts, len(self.ladder)) - 1], floor)
        fitting = [rung for rung in self.ladder if floor <= rung and rung.total_seconds() < left]
        return max((rung for rung in fitting if rung <= planned), default=min(fitting, default=None))
