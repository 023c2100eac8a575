"""What the built-in provider does with a message: the last four digits of its phone say it. Pure."""

from typing import NamedTuple

from shared.domain.message import Error
from shared.domain.receipt import Receipt, ReceiptState
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind


class Played(NamedTuple):
    """What every call for a phone leads to. seconds: until it does. receipt: what is said later of a message that was
    accepted; None: nothing."""

    outcome: Outcome
    seconds: float = 0.0
    receipt: Receipt | None = None


SLOW = 5.0
"""Seconds."""

_DELIVERED = Receipt(ReceiptState.DELIVERED)
_UNDELIVERED = Receipt(ReceiptState.UNDELIVERED, reason="absent subscriber")

_BY_DIGITS = {
    1: Played(Outcome(OutcomeKind.REFUSED, Error.REJECTED, words="unknown subscriber")),
    2: Played(ACCEPTED, SLOW, _DELIVERED),
    3: Played(Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST)),
    4: Played(Outcome(OutcomeKind.TRANSIENT, Error.SERVER_ERROR, words="temporarily out of order")),
    5: Played(ACCEPTED, receipt=_UNDELIVERED),
    6: Played(ACCEPTED),
}
_ACCEPTED = Played(ACCEPTED, receipt=_DELIVERED)


def play(phone: int) -> Played:
    return _BY_DIGITS.get(phone % 10_000, _ACCEPTED)
