"""What the built-in provider does with a message: the last four digits of its phone say it. Pure."""

from typing import NamedTuple

from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind


class Played(NamedTuple):
    """What every call for a phone leads to. seconds: until it does."""

    outcome: Outcome
    seconds: float = 0.0


SLOW = 5.0
"""Seconds."""

_BY_DIGITS = {
    1: Played(Outcome(OutcomeKind.REFUSED, Error.REJECTED, words="unknown subscriber")),
    2: Played(ACCEPTED, SLOW),
    3: Played(Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST)),
    4: Played(Outcome(OutcomeKind.TRANSIENT, Error.SERVER_ERROR, words="temporarily out of order")),
}
_ACCEPTED = Played(ACCEPTED)


def play(phone: int) -> Played:
    return _BY_DIGITS.get(phone % 10_000, _ACCEPTED)
