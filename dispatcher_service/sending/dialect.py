"""The provider's contract: how a message is put to it, and what its answers mean. Pure; `sender` does the calls."""

import json
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind

MAX_BODY = 64 * 1024
"""An answer that is longer, in bytes, is no answer of the contract."""


class Failure(StrEnum):
    """How a call can end without an answer."""

    NOT_SENT = "not sent"  # no connection, DNS, TLS: the request was not written
    TIMED_OUT = "timed out"  # no answer in time after the request was written
    LOST = "lost"  # the connection broke after the request was written
    BROKEN = "broken"  # an answer came, but it was truncated, too long or no HTTP


class Answer(NamedTuple):
    """status: of HTTP. body: at most MAX_BODY bytes. retry_after: of the header, in seconds; 0 without one."""

    status: int
    body: bytes
    retry_after: float = 0.0


def path(message_id: int) -> str:
    return f"/v1/send/{message_id}"


def body(message_id: int, phone: int, text: str) -> bytes:
    return f'{{"id": {message_id}, "phone": {phone}, "text": {_quoted(text)}}}'.encode()


@lru_cache(maxsize=256)
def _quoted(text: str) -> str:
    """A mailing's text is the same for all its messages, and takes longer to quote than all the rest."""
    return json.dumps(text, ensure_ascii=False)


def outcome(answer: Answer | Failure) -> Outcome:
    """What an attempt led to. Never raises, whatever the provider answered."""
    if isinstance(answer, Failure):
        return _FAILURES[answer]
    match answer.status:
        case 200 if _is_accepted(answer.body):
            found = ACCEPTED
        case 401 | 403:
            found = Outcome(OutcomeKind.UNAUTHORIZED, Error.UNAUTHORIZED)
        case 429:
            found = _transient(Error.RATE_LIMITED, answer.retry_after)
        case status if status in (408, 425) or status >= 500:
            found = _transient(Error.SERVER_ERROR, answer.retry_after)
        case status if status >= 400:
            found = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
        case status if status >= 300:
            found = _transient(Error.REDIRECTED)
        case _:
            found = _transient(Error.BAD_ANSWER)
    return found


def _is_accepted(body: bytes) -> bool:
    return _is_accepted_in_short(body) if len(body) <= _SHORT else _reads_as_accepted(body)


def _reads_as_accepted(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    # `False` and `0.0` equal 0 in Python, but are not the code 0 of the contract.
    return isinstance(answer, dict) and type(answer.get("code")) is int and answer["code"] == 0


_SHORT = 256
"""Bytes. A provider accepts a million messages in the same few words, which need to be read once only."""

_is_accepted_in_short = lru_cache(maxsize=256)(_reads_as_accepted)


def _transient(error: Error, wait: float = 0.0) -> Outcome:
    return Outcome(OutcomeKind.TRANSIENT, error, wait)


_FAILURES = {
    Failure.NOT_SENT: _transient(Error.UNREACHABLE),
    Failure.TIMED_OUT: Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT),
    Failure.LOST: Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST),
    Failure.BROKEN: _transient(Error.BAD_ANSWER),
}
