"""Whose fault a call is that was not served: the message's, so that it spends an attempt, or the provider's. Pure.

A provider that is down would use up the attempts of every message within an hour. One that is well and fails with one
message, or with one mailing, would be asked about it for ever. What tells the two apart is what the provider did for
others at the same time.
"""

from collections import defaultdict, deque
from enum import StrEnum
from typing import NamedTuple

from shared.domain.retry import Outcome, OutcomeKind

CALLS, SECONDS = 100, 30.0
"""The provider is judged by its last so many calls, of no more than so many seconds."""

STUCK_AFTER = 20
"""So many calls in a row of one mailing that came to nothing, while others were served: it is held back alone."""

_MOST_MAILINGS = 1_000


class Blame(StrEnum):
    """Who answers for a call. The message pays with an attempt, the provider with nothing of the message's."""

    MESSAGE = "message"
    PROVIDER = "provider"


def blame(outcome: Outcome, *, serves: bool) -> Blame:
    """serves: `Serving.serves`, of the message whose call it was."""
    match outcome.kind:
        case OutcomeKind.ACCEPTED | OutcomeKind.REFUSED | OutcomeKind.AMBIGUOUS:
            return Blame.MESSAGE
        case OutcomeKind.LIMITED | OutcomeKind.UNAUTHORIZED:
            return Blame.PROVIDER
    return Blame.MESSAGE if serves else Blame.PROVIDER


class _InVain(NamedTuple):
    """Calls in a row of one mailing that came to nothing. since: when the first of them had ended."""

    calls: int
    since: float


class Serving:
    """What the provider did with the last calls. `now` is in seconds on a clock that never steps back."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, int, bool]] = deque()  # when it ended, of which mailing, whether it was served
        self._made: defaultdict[int, int] = defaultdict(int)  # of these, by mailing; a Counter takes twice as long
        self._served: defaultdict[int, int] = defaultdict(int)
        self._all_served = 0
        self._served_at = float("-inf")
        self._in_vain: dict[int, _InVain] = {}  # by mailing

    def observe(self, mailing_id: int, outcome: Outcome, now: float) -> None:
        """A call has ended."""
        is_served = outcome.is_served
        self._calls.append((now, mailing_id, is_served))
        self._made[mailing_id] += 1
        if is_served:
            self._served[mailing_id] += 1
            self._all_served += 1
            self._served_at = now
            if self._in_vain:
                self._in_vain.pop(mailing_id, None)
        elif outcome.kind in (OutcomeKind.TRANSIENT, OutcomeKind.AMBIGUOUS):
            self._count_in_vain(mailing_id, now)
        if len(self._calls) > CALLS:
            self._forget_first()

    def serves(self, mailing_id: int, since: float | None, now: float) -> bool:
        """Whether the provider serves, as far as that can be held against a message of this mailing.

        At least half of the last calls were served, counted over the other mailings if there are any, and something was
        since the message's previous call. since: when that was; None: this was its first.
        """
        made, served = self._others(mailing_id, now)
        if not made:
            made, served = self._made.get(mailing_id, 0), self._served.get(mailing_id, 0)
        return 2 * served >= made > 0 and (since is None or self._served_at > since)

    def is_stuck(self, mailing_id: int, now: float) -> bool:
        """Whether a mailing gets nowhere while others do: since its first call in vain, at least half of theirs were
        served. What was served before says nothing, the provider may have gone down in between."""
        in_vain = self._in_vain.get(mailing_id)
        if in_vain is None or in_vain.calls < STUCK_AFTER:
            return False
        self._forget_old(now)
        others = [
            is_served for ended, other, is_served in self._calls if other != mailing_id and ended >= in_vain.since
        ]
        return 2 * sum(others) >= len(others) > 0

    def _others(self, mailing_id: int, now: float) -> tuple[int, int]:
        """Calls of other mailings, and how many of them were served."""
        self._forget_old(now)
        made, served = self._made.get(mailing_id, 0), self._served.get(mailing_id, 0)
        return len(self._calls) - made, self._all_served - served

    def _forget_old(self, now: float) -> None:
        while self._calls and self._calls[0][0] < now - SECONDS:
            self._forget_first()

    def _forget_first(self) -> None:
        _, mailing_id, is_served = self._calls.popleft()
        self._made[mailing_id] -= 1
        self._served[mailing_id] -= is_served
        self._all_served -= is_served
        if not self._made[mailing_id]:
            del self._made[mailing_id], self._served[mailing_id]

    def _count_in_vain(self, mailing_id: int, now: float) -> None:
        before = self._in_vain.pop(mailing_id, _InVain(0, now))
        self._in_vain[mailing_id] = before._replace(calls=before.calls + 1)  # at the end: it was seen last
        if len(self._in_vain) > _MOST_MAILINGS:
            del self._in_vain[next(iter(self._in_vain))]
