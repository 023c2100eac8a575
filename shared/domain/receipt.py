"""What a provider says later of a message that it has taken. Pure.

It stands beside the status of the message and changes none. The order in which receipts come does not matter: the one
that says most stands.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.domain.masking import without_phones
from shared.domain.meaning import Meaning
from shared.domain.message import MessageState

MAX_REASON = 100
"""Bytes of the provider's reason that are kept."""

MAX_REFERENCE = 200
"""Characters of a provider's own name for a message; a longer one is none."""

BACK, AHEAD = timedelta(days=400), timedelta(days=1)
"""A time of a provider's that is further from now is not believed: then it is the time at which the receipt came."""


class ReceiptState(Meaning):
    """In the order of what they say: a later one replaces an earlier one, never the other way round.

    That a message was not delivered may turn out to be wrong, since a phone may be reached after its provider has given
    up. That it was delivered cannot.
    """

    AWAITING = "awaiting", "the provider has said that it is on its way, and not yet what became of it"
    UNDELIVERED = "undelivered", "the provider says that it was not delivered"
    DELIVERED = "delivered", "the provider says that it was delivered"

    @property
    def is_final(self) -> bool:
        return self is not ReceiptState.AWAITING

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {state: rank for rank, state in enumerate(ReceiptState)}


DELIVERED, UNDELIVERED = str(ReceiptState.DELIVERED), str(ReceiptState.UNDELIVERED)
UNKNOWN_DELIVERED, UNKNOWN_UNDELIVERED = f"unknown_{DELIVERED}", f"unknown_{UNDELIVERED}"

RECEIPTS = (DELIVERED, UNDELIVERED, UNKNOWN_DELIVERED, UNKNOWN_UNDELIVERED)
"""The names under which receipts are counted: of messages that are `sent`, and, apart from these, of those that ended
as `unknown`. What is sent and neither delivered nor undelivered is awaited, and so counted by the other two."""


def counted_as(status: MessageState, state: ReceiptState) -> str | None:
    """The counter of a receipt, by the final status of its message; None: it is counted in none."""
    return _COUNTERS.get((status, state))


_COUNTERS = {
    (MessageState.SENT, ReceiptState.DELIVERED): DELIVERED,
    (MessageState.SENT, ReceiptState.UNDELIVERED): UNDELIVERED,
    (MessageState.UNKNOWN, ReceiptState.DELIVERED): UNKNOWN_DELIVERED,
    (MessageState.UNKNOWN, ReceiptState.UNDELIVERED): UNKNOWN_UNDELIVERED,
}


def counted_under(name: str) -> tuple[MessageState, ReceiptState]:
    """Of which messages, and of what is said of them, the counter of this name is."""
    return next(counted for counted, counter in _COUNTERS.items() if counter == name)


class Receipt(NamedTuple):
    """message_id, reference: which message it is about: by our id, or by the provider's own name for it. reason: in the
    provider's words, for people. at: when it happened, as the provider says; None: it does not say."""

    state: ReceiptState
    message_id: int | None = None
    reference: str | None = None
    reason: str | None = None
    at: datetime | None = None


def replaces(new: ReceiptState, old: ReceiptState) -> bool:
    """Whether a receipt that comes takes the place of the one that is there. Of two that say the same the first one
    stands, so one that is repeated changes nothing."""
    return new.rank > old.rank


def combined(receipts: Iterable[Receipt]) -> list[Receipt]:
    """One of each message: that which stands after all of them."""
    standing: dict[int | str | None, Receipt] = {}
    for receipt in receipts:
        key = receipt.message_id or receipt.reference
        if key not in standing or replaces(receipt.state, standing[key].state):
            standing[key] = receipt
    return list(standing.values())


def reference_of(value: object) -> str | None:
    """A provider's own name for a message, from its answer or its receipt; None: it is none that can be kept."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= MAX_REFERENCE and text.isprintable() else None


def reason_of(words: object) -> str | None:
    """What is kept of a reason: printable characters in one line, with phones masked; None: there is nothing."""
    if not isinstance(words, str | int | float) or isinstance(words, bool):
        return None
    line = " ".join("".join(each if each.isprintable() else " " for each in str(words)[: 4 * MAX_REASON]).split())
    return without_phones(line).encode("utf-8", "ignore")[:MAX_REASON].decode("utf-8", "ignore").strip() or None
