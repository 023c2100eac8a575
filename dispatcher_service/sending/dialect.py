"""The provider's contract: how a message is put to it, and what its answers mean. Pure; `sender` does the calls."""

import json
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from shared.domain.masking import without_phones
from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, MAX_WORDS, Outcome, OutcomeKind

MAX_BODY = 64 * 1024
"""An answer that is longer, in bytes, is no answer of the contract."""


class Failure(StrEnum):
    """How a call can end without an answer."""

    NOT_SENT = "not sent"  # no connection, DNS, TLS: the request was not written
    TIMED_OUT = "timed out"  # no answer in time after the request was written
    LOST = "lost"  # the connection broke after the request was written
    BROKEN = "broken"  # what came sounds like success, but is truncated or too long; or it is no HTTP


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
    """What a call led to. Never raises, whatever the provider answered."""
    if isinstance(answer, Failure):
        return _FAILURES[answer]
    if 200 <= answer.status < 300:
        return _meaning(answer.body)
    kind, error = _BY_STATUS.get(answer.status) or _by_class(answer.status)
    # Of the others only 429 and 5xx ask for time; a redirect's Retry-After is about the other address.
    wait = answer.retry_after if kind in (OutcomeKind.TRANSIENT, OutcomeKind.LIMITED) else 0.0
    return Outcome(kind, error, wait, words(answer.body))


_OURS_TO_MEND = OutcomeKind.UNAUTHORIZED

_BY_STATUS = {
    401: (_OURS_TO_MEND, Error.UNAUTHORIZED),
    402: (_OURS_TO_MEND, Error.UNPAID),
    403: (_OURS_TO_MEND, Error.UNAUTHORIZED),
    404: (_OURS_TO_MEND, Error.WRONG_ADDRESS),
    405: (_OURS_TO_MEND, Error.WRONG_ADDRESS),
    407: (_OURS_TO_MEND, Error.UNAUTHORIZED),
    408: (OutcomeKind.TRANSIENT, Error.SERVER_ERROR),
    410: (_OURS_TO_MEND, Error.WRONG_ADDRESS),
    425: (OutcomeKind.TRANSIENT, Error.SERVER_ERROR),
    429: (OutcomeKind.LIMITED, Error.RATE_LIMITED),
}


def _by_class(status: int) -> tuple[OutcomeKind, Error]:
    if status >= 500:
        return OutcomeKind.TRANSIENT, Error.SERVER_ERROR
    if status >= 400:
        return OutcomeKind.REFUSED, Error.REJECTED
    if status >= 300:
        return _OURS_TO_MEND, Error.REDIRECTED
    return OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER  # no final status at all


def words(body: bytes) -> str:
    """What the provider said, for people: its printable characters, at most MAX_WORDS bytes of them. A phone in them is
    masked: they are kept for longer than a client may be."""
    said = body[: 4 * MAX_WORDS].decode("utf-8", "replace")
    said = " ".join("".join(each if each.isprintable() else " " for each in said).split())
    return without_phones(said).encode()[:MAX_WORDS].decode("utf-8", "ignore")


def _meaning(body: bytes) -> Outcome:
    return _meaning_in_short(body) if len(body) <= _SHORT else _read(body)


def _read(body: bytes) -> Outcome:
    """Of an answer that sounds like success. `False` and `0.0` equal 0 in Python, but are not the code 0 of the
    contract; nor is anything but a whole number another code, with which the provider would say no."""
    try:
        answer = json.loads(body, object_pairs_hook=_members)
    except _Contradiction:
        return Outcome(OutcomeKind.AMBIGUOUS, Error.CONTRADICTION, words=words(body))
    except (ValueError, RecursionError):
        answer = None
    code = answer.get("code") if isinstance(answer, dict) else None
    if type(code) is not int:
        return Outcome(OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER, words=words(body))
    return ACCEPTED if code == 0 else Outcome(OutcomeKind.TRANSIENT, Error.DECLINED, words=words(body))


class _Contradiction(Exception):
    pass


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of members with one name some readers take the first and some the last (RFC 8259, section 4)."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Contradiction
    return members


_SHORT = 256
"""Bytes. A provider accepts a million messages in the same few words, which need to be read once only."""

_meaning_in_short = lru_cache(maxsize=256)(_read)

_FAILURES = {
    Failure.NOT_SENT: Outcome(OutcomeKind.TRANSIENT, Error.UNREACHABLE),
    Failure.TIMED_OUT: Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT),
    Failure.LOST: Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST),
    Failure.BROKEN: Outcome(OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER),
}
