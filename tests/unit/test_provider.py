"""What the provider's answers mean, as one table, and what must hold whatever it answers."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatcher_service.sending import dialect
from dispatcher_service.sending.dialect import Answer, Failure
from shared.domain.message import AMBIGUOUS_ERRORS, Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind

OK = b'{"code": 0, "message": "OK"}'

REFUSED = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
UNAUTHORIZED = Outcome(OutcomeKind.UNAUTHORIZED, Error.UNAUTHORIZED)


def transient(error: Error, retry_after: float = 0.0) -> Outcome:
    return Outcome(OutcomeKind.TRANSIENT, error, retry_after)


def ambiguous(error: Error) -> Outcome:
    return Outcome(OutcomeKind.AMBIGUOUS, error)


BAD_ANSWER = transient(Error.BAD_ANSWER)

TABLE = [
    # 200 with a JSON object whose `code` is the integer 0
    (Answer(200, OK), ACCEPTED),
    (Answer(200, b'{"code":0}'), ACCEPTED),
    (Answer(200, b'{"code": 0, "id": 77, "more": [1, {}]}'), ACCEPTED),
    (Answer(200, b'\xef\xbb\xbf{"code": 0}'), ACCEPTED),  # a byte order mark
    (Answer(200, b'{"code": 7, "code": 0}'), ACCEPTED),  # of equal names the last counts, as JSON readers have it
    # 200 with anything else
    (Answer(200, b'{"code": 0, "code": 7}'), BAD_ANSWER),
    (Answer(200, b'{"code": 7}'), BAD_ANSWER),
    (Answer(200, b'{"code": -1}'), BAD_ANSWER),
    (Answer(200, b'{"code": false}'), BAD_ANSWER),
    (Answer(200, b'{"code": 0.0}'), BAD_ANSWER),
    (Answer(200, b'{"code": "0"}'), BAD_ANSWER),
    (Answer(200, b'{"code": null}'), BAD_ANSWER),
    (Answer(200, b'{"code": [0]}'), BAD_ANSWER),
    (Answer(200, b'{"Code": 0}'), BAD_ANSWER),
    (Answer(200, b"{}"), BAD_ANSWER),
    (Answer(200, b'[{"code": 0}]'), BAD_ANSWER),
    (Answer(200, b'"code"'), BAD_ANSWER),
    (Answer(200, b"0"), BAD_ANSWER),
    (Answer(200, b"null"), BAD_ANSWER),
    (Answer(200, b""), BAD_ANSWER),
    (Answer(200, b'{"code": 0'), BAD_ANSWER),
    (Answer(200, OK + OK), BAD_ANSWER),
    (Answer(200, b"<!doctype html>"), BAD_ANSWER),
    (Answer(200, b"\xff\xfe\x00"), BAD_ANSWER),
    (Answer(200, b'{"code": "\xd0"}'), BAD_ANSWER),
    (Answer(200, b"[" * 60_000), BAD_ANSWER),
    (Answer(200, b'{"code": 0, "n": ' + b"9" * 60_000 + b"}"), BAD_ANSWER),
    # another status that sounds like success is none of the contract
    (Answer(201, OK), BAD_ANSWER),
    (Answer(202, OK), BAD_ANSWER),
    (Answer(204, b""), BAD_ANSWER),
    (Answer(206, OK), BAD_ANSWER),
    (Answer(100, OK), BAD_ANSWER),
    (Answer(0, OK), BAD_ANSWER),
    # redirects
    (Answer(301, OK), transient(Error.REDIRECTED)),
    (Answer(304, b""), transient(Error.REDIRECTED)),
    (Answer(307, OK), transient(Error.REDIRECTED)),
    (Answer(308, OK), transient(Error.REDIRECTED)),
    # refused for good
    *[(Answer(status, OK), REFUSED) for status in (400, 402, 404, 405, 409, 410, 411, 413, 414, 415, 422, 431, 451)],
    (Answer(400, b"", retry_after=60), REFUSED),
    # our token
    (Answer(401, OK), UNAUTHORIZED),
    (Answer(403, b""), UNAUTHORIZED),
    # come again
    (Answer(408, b""), transient(Error.SERVER_ERROR)),
    (Answer(425, b""), transient(Error.SERVER_ERROR)),
    (Answer(429, OK), transient(Error.RATE_LIMITED)),
    (Answer(429, b"", retry_after=42), transient(Error.RATE_LIMITED, 42)),
    (Answer(500, OK), transient(Error.SERVER_ERROR)),
    (Answer(502, b""), transient(Error.SERVER_ERROR)),
    (Answer(503, b"", retry_after=3), transient(Error.SERVER_ERROR, 3)),
    (Answer(504, b""), transient(Error.SERVER_ERROR)),
    (Answer(599, b""), transient(Error.SERVER_ERROR)),
    (Answer(999, b""), transient(Error.SERVER_ERROR)),
    # no answer
    (Failure.NOT_SENT, transient(Error.UNREACHABLE)),
    (Failure.BROKEN, BAD_ANSWER),
    (Failure.TIMED_OUT, ambiguous(Error.TIMED_OUT)),
    (Failure.LOST, ambiguous(Error.CONNECTION_LOST)),
]


@pytest.mark.parametrize(("answer", "outcome"), TABLE, ids=lambda value: repr(value)[:70])
def test_outcomes(answer: Answer | Failure, outcome: Outcome) -> None:
    assert dialect.outcome(answer) == outcome


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("code"), inner),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"code": st.just(0) | JSON}).map(lambda value: json.dumps(value).encode())
    | st.integers(0, len(OK)).map(lambda size: OK[:size])
)


@given(st.integers(-1, 1000), BODIES, st.floats(min_value=0, allow_nan=False))
@example(200, OK, 0.0)
def test_accepts_nothing_but_code_0(status: int, body: bytes, retry_after: float) -> None:
    outcome = dialect.outcome(Answer(status, body, retry_after))
    assert (outcome.kind is OutcomeKind.ACCEPTED) == (status == 200 and _has_code_0(body))
    assert (outcome.error is None) == (outcome.kind is OutcomeKind.ACCEPTED)
    # An answer that came in whole is never ambiguous: only a missing one is.
    assert outcome.kind is not OutcomeKind.AMBIGUOUS
    assert outcome.error not in AMBIGUOUS_ERRORS


def _has_code_0(body: bytes) -> bool:
    """The contract in other words: the text of the value is compared, so that neither 0.0 nor false equals 0."""
    try:
        value: Any = json.loads(body, parse_int=lambda text: ("integer", text))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("code") in (("integer", "0"), ("integer", "-0"))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2000)
IDS = st.integers(1, 2**63 - 1)


@given(IDS, st.integers(70_000_000_000, 79_999_999_999), TEXTS)
@example(1, 79123456789, '\0\x1f"\\/\u2028\U0001f600')
def test_a_message_arrives_as_it_was_written(message_id: int, phone: int, text: str) -> None:
    body = dialect.body(message_id, phone, text)
    assert json.loads(body.decode("utf-8")) == {"id": message_id, "phone": phone, "text": text}
    assert dialect.path(message_id) == f"/v1/send/{message_id}"
