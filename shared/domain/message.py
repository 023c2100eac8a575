"""The states of a message and the moves between them. Pure: the SQL in `shared.messages` is tested against it."""

from enum import StrEnum


class MessageState(StrEnum):
    PENDING = "pending"  # waits until it is due: not on the broker
    QUEUED = "queued"  # in a job on the broker
    SENDING = "sending"  # claimed by a dispatcher, under a lease
    RETRYING = "retrying"  # waits on a rung of the retry ladder
    SENT = "sent"  # the provider accepted it
    FAILED = "failed"  # refused for good, or attempts used up
    UNKNOWN = "unknown"  # no more attempts, and the provider may have taken the last one
    EXPIRED = "expired"  # the mailing ended first
    CANCELLED = "cancelled"  # the mailing was cancelled or deleted, or the client was deleted


OPEN_STATES = frozenset({MessageState.PENDING, MessageState.QUEUED, MessageState.SENDING, MessageState.RETRYING})
FINAL_STATES = frozenset(MessageState) - OPEN_STATES

_P, _Q, _S, _R = MessageState.PENDING, MessageState.QUEUED, MessageState.SENDING, MessageState.RETRYING
_CLOSED = frozenset({MessageState.EXPIRED, MessageState.CANCELLED, MessageState.UNKNOWN})

MOVES: dict[MessageState, frozenset[MessageState]] = {
    _P: _CLOSED | {_Q},
    _Q: _CLOSED | {_S, _P},
    _S: _CLOSED | {_P, _R, MessageState.SENT, MessageState.FAILED},
    _R: _CLOSED | {_S, _Q, _P},
    **{state: frozenset() for state in FINAL_STATES},
}
"""From each state, the states a message may move to. `queued` and `retrying` go back to `pending` when a claim finds
the mailing paused or the client's window closed; `retrying` goes to `queued` when its job was lost on the broker."""


class Error(StrEnum):
    """Why an attempt did not end in `sent`; kept with the message and counted by mailing."""

    REJECTED = "rejected"  # 4xx: the provider refuses this message for good
    UNAUTHORIZED = "unauthorized"  # 401, 403: our token; no attempt is spent
    RATE_LIMITED = "rate_limited"  # 429
    SERVER_ERROR = "server_error"  # 408, 425, 5xx
    BAD_ANSWER = "bad_answer"  # 200, but not a JSON object with `code` 0
    REDIRECTED = "redirected"  # 3xx, never followed
    UNREACHABLE = "unreachable"  # no connection, DNS, TLS: the request was not written
    TIMED_OUT = "timed_out"  # no answer in time after the request was written
    CONNECTION_LOST = "connection_lost"  # reset after the request was written
    LEASE_LOST = "lease_lost"  # the dispatcher that had it disappeared, or was too slow


AMBIGUOUS_ERRORS = frozenset({Error.TIMED_OUT, Error.CONNECTION_LOST, Error.LEASE_LOST})
"""After these the provider may have taken the message."""
