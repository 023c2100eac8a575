"""The states of a message, the moves between them, and why an attempt fails. Pure.

One list each: columns, SQL, schemas, figures, letters and the glossary are derived from these, or compared with them.
"""

from enum import Enum, StrEnum
from typing import Any, Self


class Kind(Enum):
    """What a state means to those who keep messages going."""

    WAITING = "waiting"  # open, and nobody's: it goes on when it is due
    HELD = "held"  # open, and a dispatcher's until a lease runs out
    FINAL = "final"  # nothing changes it any more


class MessageState(StrEnum):
    """Each with its kind and what is said of a message in it.

    What ends as neither `sent` nor `unknown` was certainly not delivered by us.
    """

    kind: Kind
    meaning: str

    def __new__(cls, name: str, *row: Any) -> Self:
        state = str.__new__(cls, name)
        state._value_ = name
        state.kind, state.meaning = row
        return state

    PENDING = "pending", Kind.WAITING, "waiting until due"
    SENDING = "sending", Kind.HELD, "claimed by a dispatcher, under a lease"
    RETRYING = "retrying", Kind.WAITING, "waiting for another attempt, on a rung of the retry ladder"
    SENT = "sent", Kind.FINAL, "accepted by the provider"
    FAILED = "failed", Kind.FINAL, "refused for good, or attempts used up; not delivered"
    UNKNOWN = "unknown", Kind.FINAL, "ended without success after a call that may have delivered it"
    EXPIRED = "expired", Kind.FINAL, "not delivered before the mailing ended"
    CANCELLED = "cancelled", Kind.FINAL, "not delivered: the mailing was cancelled or deleted, or the client removed"
    SKIPPED = "skipped", Kind.FINAL, "left out for a reason that is kept with it; not delivered"


def _of_kind(*kinds: Kind) -> frozenset[MessageState]:
    return frozenset(state for state in MessageState if state.kind in kinds)


WAITING_STATES = _of_kind(Kind.WAITING)
HELD_STATES = _of_kind(Kind.HELD)
OPEN_STATES = _of_kind(Kind.WAITING, Kind.HELD)
FINAL_STATES = _of_kind(Kind.FINAL)
RARE_STATES = FINAL_STATES - {MessageState.SENT}
"""The few among many that a user asks for."""
UNDELIVERED_STATES = FINAL_STATES - {MessageState.SENT, MessageState.UNKNOWN}
"""Certainly not delivered by us, and never to be."""

_P, _S, _R = MessageState.PENDING, MessageState.SENDING, MessageState.RETRYING
_OF_A_CALL = frozenset({MessageState.SENT, MessageState.FAILED})
_WITHOUT_A_CALL = FINAL_STATES - _OF_A_CALL

MOVES: dict[MessageState, frozenset[MessageState]] = {
    _P: _WITHOUT_A_CALL | {_S},
    _S: _WITHOUT_A_CALL | _OF_A_CALL | {_P, _R},
    _R: _WITHOUT_A_CALL | {_S, _P},
    **{state: frozenset() for state in FINAL_STATES},
}
"""From each state, the states a message may move to. `retrying` goes back to `pending` when a claim finds the client's
window closed. That its id is on the broker is no state of a message: a job owns nothing."""


class Error(StrEnum):
    """Why an attempt did not end in `sent`; kept with the message and counted by mailing.

    is_ambiguous: the provider may have taken the message.
    """

    meaning: str
    is_ambiguous: bool

    def __new__(cls, name: str, *row: Any) -> Self:
        error = str.__new__(cls, name)
        error._value_ = name
        error.meaning, error.is_ambiguous = row
        return error

    REJECTED = "rejected", "4xx about the message: the provider refuses it for good", False
    UNAUTHORIZED = "unauthorized", "401, 403, 407: the provider does not accept our token", False
    UNPAID = "unpaid", "402: the account with the provider is empty or closed", False
    WRONG_ADDRESS = "wrong_address", "404, 405, 410: there is no provider at PROVIDER_URL", False
    REDIRECTED = "redirected", "3xx: the provider points elsewhere, which is never followed", False
    RATE_LIMITED = "rate_limited", "429: too many calls for the provider", False
    SERVER_ERROR = "server_error", "408, 425, 5xx: the provider failed", False
    DECLINED = "declined", "2xx with a `code` that is not 0: the provider says no", False
    BAD_ANSWER = "bad_answer", "2xx, but not a JSON object with a whole number as `code`; truncated or too long", True
    CONTRADICTION = "contradiction", "2xx with JSON that names a member twice: it may say yes and no", True
    UNREACHABLE = "unreachable", "no connection, DNS, TLS: the request was not written", False
    PROVIDER_DOWN = "provider_down", "the provider served nobody: the call is not held against the message", False
    TIMED_OUT = "timed_out", "no answer in time after the request was written", True
    CONNECTION_LOST = "connection_lost", "the connection broke after the request was written", True
    LEASE_LOST = "lease_lost", "the dispatcher that had it disappeared, or could not write the result in time", True
    RESTORED = "restored", "the database was restored to an earlier moment, and it may have been sent since then", True


AMBIGUOUS_ERRORS = frozenset(error for error in Error if error.is_ambiguous)
