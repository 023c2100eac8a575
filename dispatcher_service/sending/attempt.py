"""An attempt: one provider call to be made, and what came of it.

Times are in seconds on the clock `shared.clock.ticks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

from dispatcher_service.sending.blame import Blame
from shared.clock import ticks
from shared.domain.retry import SENT, HandBack, Outcome, OutcomeKind, RetryPolicy, Tried
from shared.messages.claim import Claim, Claimed
from shared.messages.record import Verdict
from shared.messages.references import Reference


@dataclass(frozen=True, slots=True)
class DatabaseClock:
    """The database's clock as this process may know it: read at a claim, carried on by our own ticks.

    The process that sends never asks its own wall clock whether a mailing is over.
    """

    now: datetime
    ticks: float

    def at(self, ticks: float) -> datetime:
        return _moment(self.now, ticks - self.ticks)

    def ticks_at(self, moment: datetime) -> float:
        return self.ticks + (moment - self.now).total_seconds()


@lru_cache(maxsize=16)
def _moment(since: datetime, seconds: float) -> datetime:
    """Many results come in at the same moment."""
    return since + timedelta(seconds=seconds)


class Attempt(NamedTuple):
    """not_before: set by a limit. start_by: a call that could have started STALE seconds ago is not begun any
    more; by then the mailing may have been paused or cancelled, so the message is to be claimed anew. deadline: nothing
    is handed over from here on. lease_until: from here on the message may belong to somebody else."""

    message: Claimed
    clock: DatabaseClock
    not_before: float
    start_by: float
    deadline: float
    lease_until: float

    @property
    def called_before(self) -> float | None:
        """When the message's previous call had ended; None: there was none."""
        before = self.message.last_called_at
        return None if before is None else self.clock.ticks_at(before)


class Result(NamedTuple):
    """outcome: None where the call was not made. at: when this was known. blame: who answers for the call."""

    attempt: Attempt
    outcome: Outcome | None
    at: float
    blame: Blame = Blame.MESSAGE

    def verdict(self, policy: RetryPolicy) -> Verdict:
        """What is to become of the message."""
        message, outcome = self.attempt.message, self.outcome
        if outcome is None:
            return Verdict(message, HandBack())
        if outcome.kind is OutcomeKind.ACCEPTED:
            return Verdict(message, SENT, at=self.attempt.clock.at(self.at), named=_named(message, outcome))
        is_spent, is_ambiguous = self.blame is Blame.MESSAGE, outcome.kind is OutcomeKind.AMBIGUOUS
        answered_at = self.attempt.clock.at(self.at)
        first_at = message.first_called_at or answered_at
        tried = Tried(
            calls=message.calls + 1,
            attempts=message.attempts + is_spent,
            since=(answered_at - first_at).total_seconds(),
            maybe_delivered=message.repeat or is_ambiguous,
        )
        decision = policy.decide(outcome, tried, (message.ends_at - answered_at).total_seconds())
        return Verdict(message, decision, outcome.error, is_ambiguous, answered_at, is_spent, outcome.words)


def _named(message: Claimed, outcome: Outcome) -> Reference | None:
    if outcome.provider is None or outcome.reference is None:
        return None
    return Reference(message.id, message.part, outcome.provider, outcome.reference)


STALE = 0.5


def attempts(claim: Claim, since: float, lease: float, moments: Sequence[float] = ()) -> list[Attempt]:
    """The attempts of a claim that was asked for at `since`.

    The statement read the database's clock a little later than that, so the deadlines err on the early side.
    moments: before which each must not begin; none where there is no limit.
    """
    clock, now, lease_until = DatabaseClock(claim.now, since), ticks(), since + lease
    deadlines = {moment: clock.ticks_at(moment) for moment in {message.deadline for message in claim.messages}}
    made = []
    for message, not_before in zip(claim.messages, moments or repeat(since, len(claim.messages)), strict=True):
        deadline = deadlines[message.deadline]
        start_by = min(deadline, max(not_before, now) + STALE)
        made.append(Attempt(message, clock, not_before, start_by, deadline, lease_until))
    return made
