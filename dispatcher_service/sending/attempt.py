"""An attempt: one provider call to be made, and what came of it.

Times are in seconds on the clock `shared.clock.ticks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat
from typing import NamedTuple

from shared.clock import ticks
from shared.domain.retry import HandBack, Outcome, OutcomeKind, RetryPolicy
from shared.messages.claim import Claim, Claimed
from shared.messages.record import Verdict


@dataclass(frozen=True, slots=True)
class DatabaseClock:
    """The database's clock as this process may know it: read at a claim, carried on by our own ticks.

    The process that sends never asks its own wall clock whether a mailing is over.
    """

    now: datetime
    ticks: float

    def at(self, ticks: float) -> datetime:
        return self.now + timedelta(seconds=ticks - self.ticks)

    def ticks_at(self, moment: datetime) -> float:
        return self.ticks + (moment - self.now).total_seconds()


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


class Result(NamedTuple):
    """outcome: None where the call was not made, so that no attempt is spent. at: when this was known."""

    attempt: Attempt
    outcome: Outcome | None
    at: float

    def verdict(self, policy: RetryPolicy) -> Verdict:
        """What is to become of the message."""
        message = self.attempt.message
        if self.outcome is None:
            return Verdict(message, HandBack())
        answered_at = self.attempt.clock.at(self.at)
        decision = policy.decide(
            self.outcome, message.attempts + 1, answered_at, message.ends_at, maybe_delivered=message.repeat
        )
        return Verdict(message, decision, self.outcome.error, self.outcome.kind is OutcomeKind.AMBIGUOUS, answered_at)


STALE = 0.5


def attempts(claim: Claim, since: float, lease: float, moments: Sequence[float] = ()) -> list[Attempt]:
    """The attempts of a claim that was asked for at `since`.

    The statement read the database's clock a little later than that, so the deadlines err on the early side.
    moments: before which each must not begin; none where there is no limit.
    """
    clock = DatabaseClock(claim.now, since)
    made = []
    for message, not_before in zip(claim.messages, moments or repeat(since, len(claim.messages)), strict=True):
        deadline = clock.ticks_at(message.deadline)
        start_by = min(deadline, max(not_before, ticks()) + STALE)
        made.append(Attempt(message, clock, not_before, start_by, deadline, since + lease))
    return made
