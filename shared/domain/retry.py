"""The retry policy: what a call leads to, as a pure function of the outcome and what went before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from shared.domain.message import Error, MessageState

DEFAULT_LADDER = (
    timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1),
)  # fmt: skip


class OutcomeKind(StrEnum):
    ACCEPTED = "accepted"  # the provider took it
    REFUSED = "refused"  # the provider will never take it
    TRANSIENT = "transient"  # not delivered, another call may do
    LIMITED = "limited"  # not delivered, and not because of the message: it came too early
    UNAUTHORIZED = "unauthorized"  # every message would meet it, and it is ours to mend
    AMBIGUOUS = "ambiguous"  # the provider may have taken it: only the same id may be tried again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call led to.

    retry_after: what the provider asked for, in seconds. words: what it said, at most MAX_WORDS bytes; for people.
    reference: the provider's id of a message that it took; None: it has none that is told. provider: whose id that is,
    where it is to be kept.
    """

    kind: OutcomeKind
    error: Error | None = None
    retry_after: float = 0.0
    words: str = field(default="", compare=False)
    reference: str | None = field(default=None, compare=False)
    provider: str | None = field(default=None, compare=False)
    is_served: bool = field(init=False, compare=False)
    """Whether the provider did its work: it looked at the message and said yes or no."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_served", self.kind in _SERVED)  # asked several times for each call


_SERVED = (OutcomeKind.ACCEPTED, OutcomeKind.REFUSED)

MAX_WORDS = 300
"""Bytes of the provider's words that are kept."""

ACCEPTED = Outcome(OutcomeKind.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Finish:
    """No more calls: the message gets this final state."""

    state: MessageState


SENT = Finish(MessageState.SENT)
"""What follows where the provider took it, whatever went before."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another call after this delay, which is a rung of the ladder."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class HandBack:
    """Back to `pending`. delay: until it may be claimed again; None: as soon as calls are made at all."""

    delay: timedelta | None = None


Decision = Finish | Retry | HandBack


class Tried(NamedTuple):
    """What a message has behind it when a call of it ends, the call included.

    calls: all of them. attempts: those that are spent. since: seconds from the first to the end of the last.
    maybe_delivered: the provider may have taken one of them. Then the message ends as `sent` or `unknown`, whatever
    became of the last one.
    """

    calls: int
    attempts: int
    since: float
    maybe_delivered: bool


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`ladder`: delays, ascending; after the last one it is repeated. `attempts`: calls that are spent, at the most.
    `patience`: how long the calls that are not spent may go on at least."""

    ladder: Sequence[timedelta] = DEFAULT_LADDER
    attempts: int = 10
    patience: timedelta = timedelta(hours=1)

    @property
    def calls(self) -> int:
        """Calls after which a message is given up, spent or not, once the patience is over."""
        return max(50, 10 * self.attempts)

    def decide(self, outcome: Outcome, tried: Tried, left: float) -> Decision:
        """What follows an outcome. left: seconds until nothing may be sent any more.

        The rung goes by the calls, spent or not: a provider that is down is not asked more often than one that says no.
        A rung that would end after the deadline is replaced by the longest one that fits, but never by one shorter
        than what the provider asked for, as long as that is not more than the top of the ladder.
        """
        if outcome.kind is OutcomeKind.ACCEPTED:
            return SENT
        if outcome.kind is OutcomeKind.REFUSED or self._is_given_up(tried):
            return Finish(MessageState.UNKNOWN if tried.maybe_delivered else MessageState.FAILED)
        delay = self._delay(tried.calls, outcome.retry_after, left)
        if outcome.kind in (OutcomeKind.LIMITED, OutcomeKind.UNAUTHORIZED):
            return HandBack(delay or self.ladder[0])  # where it is over by then, it is closed with the others
        if delay is None:
            return Finish(MessageState.UNKNOWN if tried.maybe_delivered else MessageState.EXPIRED)
        return Retry(delay)

    def _is_given_up(self, tried: Tried) -> bool:
        return tried.attempts >= self.attempts or (
            tried.calls >= self.calls and tried.since >= self.patience.total_seconds()
        )

    def _delay(self, calls: int, retry_after: float, left: float) -> timedelta | None:
        top = self.ladder[-1]
        floor = min(timedelta(seconds=min(retry_after, top.total_seconds())), top)
        planned = max(self.ladder[min(calls, len(self.ladder)) - 1], floor)
        fitting = [rung for rung in self.ladder if floor <= rung and rung.total_seconds() < left]
        return max((rung for rung in fitting if rung <= planned), default=min(fitting, default=None))
