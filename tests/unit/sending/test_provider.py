"""What the provider's answers mean, as one table, and what must hold whatever it answers."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatcher_service.sending.dialect import Failure
from shared.domain.message import AMBIGUOUS_ERRORS, Error
from shared.domain.profile.answer import Answer
from shared.domain.profile.making import Outgoing
from shared.domain.retry import ACCEPTED, MAX_WORDS, Outcome, OutcomeKind
from tests.fuzz.reader import has_code_0
from tests.support.dialects import seed_dialect

dialect = seed_dialect("https://provider.example", "t0ken")

OK = b'{"code": 0, "message": "OK"}'

REFUSED = Outcome(OutcomeKind.REFUSED, Error.REJECTED)


def ours(error: Error) -> Outcome:
    """Every message would meet it, and it is ours to mend."""
    return Outcome(OutcomeKind.UNAUTHORIZED, error)


def transient(error: Error, retry_after: float = 0.0) -> Outcome:
    return Outcome(OutcomeKind.TRANSIENT, error, retry_after)


def ambiguous(error: Error) -> Outcome:
    return Outcome(OutcomeKind.AMBIGUOUS, error)


DECLINED = transient(Error.DECLINED)
BAD_ANSWER = ambiguous(Error.BAD_ANSWER)
CONTRADICTION = ambiguous(Error.CONTRADICTION)

TABLE = [
    # 2xx with a JSON object whose `code` is the integer 0
    (Answer(200, OK), ACCEPTED),
    (Answer(200, b'{"code":0}'), ACCEPTED),
    (Answer(200, b'{"code": 0, "id": 77, "more": [1, {}]}'), ACCEPTED),
    (Answer(200, b'\xef\xbb\xbf{"code": 0}'), ACCEPTED),  # a byte order mark
    *[(Answer(status, OK), ACCEPTED) for status in (201, 202, 203, 206, 226, 299)],
    # 2xx with another code: it says no
    (Answer(200, b'{"code": 7}'), DECLINED),
    (Answer(201, b'{"code": 7}'), DECLINED),
    (Answer(200, b'{"code": -1}'), DECLINED),
    # 2xx with anything else: it may have taken it
    *[
        (Answer(200, body), BAD_ANSWER)
        for body in (
            b'{"code": false}',
            b'{"code": 0.0}',
            b'{"code": 7.5}',
            b'{"code": "0"}',
            b'{"code": "7"}',
            b'{"code": null}',
            b'{"code": [0]}',
            b'{"Code": 0}',
            b"{}",
            b'[{"code": 0}]',
            b'"code"',
            b"0",
            b"null",
            b"",
            b'{"code": 0',
            OK + OK,
            b"<!doctype html>",
            b"\xff\xfe\x00",
            b'{"code": "\xd0"}',
            b"[" * 60_000,
            b'{"code": 0, "n": ' + b"9" * 60_000 + b"}",
        )
    ],
    (Answer(201, b"Created"), BAD_ANSWER),
    (Answer(202, b""), BAD_ANSWER),
    (Answer(204, b""), BAD_ANSWER),
    # 200 with two members of one name, of which readers take the first or the last
    (Answer(200, b'{"code": 1, "code": 0}'), CONTRADICTION),
    (Answer(200, b'{"code": 0, "code": 7}'), CONTRADICTION),
    (Answer(200, b'{"code": 0, "code": 0}'), CONTRADICTION),
    (Answer(200, b'{"code": 0, "\\u0063ode": 7}'), CONTRADICTION),
    (Answer(200, b'{"code": 0, "message": "OK", "message": "no"}'), CONTRADICTION),
    (Answer(200, b'{"code": 0, "more": [{"id": 1, "id": 2}]}'), CONTRADICTION),
    (Answer(200, b'{"code": 0, "more": {"code": 7}}'), ACCEPTED),  # not of one object
    # no final status
    (Answer(100, OK), BAD_ANSWER),
    (Answer(0, OK), BAD_ANSWER),
    # about us: redirects, our address, our account, our token
    *[(Answer(status, OK), ours(Error.REDIRECTED)) for status in (300, 301, 302, 303, 304, 307, 308)],
    *[(Answer(status, b""), ours(Error.WRONG_ADDRESS)) for status in (404, 405, 410)],
    *[(Answer(status, OK), ours(Error.UNAUTHORIZED)) for status in (401, 403, 407)],
    (Answer(402, b""), ours(Error.UNPAID)),
    (Answer(404, b"", retry_after=60), ours(Error.WRONG_ADDRESS)),
    # about the message: refused for good
    *[(Answer(status, OK), REFUSED) for status in (400, 406, 409, 411, 413, 414, 415, 417, 422, 431, 451)],
    (Answer(400, b"", retry_after=60), REFUSED),
    # come again
    (Answer(408, b""), transient(Error.SERVER_ERROR)),
    (Answer(425, b""), transient(Error.SERVER_ERROR)),
    (Answer(429, OK), Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED)),
    (Answer(429, b"", retry_after=42), Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED, 42)),
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


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b'{"code": 400,\n  "message": "no such\tnumber"}', '{"code": 400, "message": "no such number"}'),
        ("Баланс исчерпан".encode(), "Баланс исчерпан"),
        (b"\x1b[31mred\x07\xff", "[31mred \ufffd"),
        ("я".encode() * 400, "я" * 150),
        (b"x" + "я".encode() * 400, "x" + "я" * 149),
    ],
)
def test_what_is_kept_of_the_providers_words(body: bytes, words: str) -> None:
    assert dialect.outcome(Answer(400, body)).words == words
    assert dialect.outcome(Answer(503, body)).words == words


def test_whoever_accepts_is_not_quoted() -> None:
    assert dialect.outcome(Answer(200, OK)).words == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("code"), inner),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"code": st.just(0) | JSON}).map(lambda value: json.dumps(value).encode())
    | st.integers(0, len(OK)).map(lambda size: OK[:size])
    | st.lists(st.sampled_from([b'"code": 0', b'"code": 1', b'"id": 5', b'"id": {"id": 0}']), max_size=3).map(
        lambda members: b"{" + b", ".join(members) + b"}"
    )
)


@given(st.integers(-1, 1000), BODIES, st.floats(min_value=0, allow_nan=False))
@example(200, OK, 0.0)
def test_accepts_nothing_but_code_0(status: int, body: bytes, retry_after: float) -> None:
    outcome = dialect.outcome(Answer(status, body, retry_after))
    assert (outcome.kind is OutcomeKind.ACCEPTED) == (200 <= status < 300 and has_code_0(body))
    assert (outcome.error is None) == (outcome.kind is OutcomeKind.ACCEPTED)
    assert (outcome.kind is OutcomeKind.AMBIGUOUS) == (outcome.error in AMBIGUOUS_ERRORS)
    assert (outcome.kind is OutcomeKind.AMBIGUOUS) <= (status < 300)
    assert len(outcome.words.encode()) <= MAX_WORDS
    assert outcome.words.isprintable()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2000)
IDS = st.integers(1, 2**63 - 1)


@given(IDS, st.integers(70_000_000_000, 79_999_999_999), TEXTS)
@example(1, 79123456789, '\0\x1f"\\/\u2028\U0001f600')
def test_a_message_arrives_as_it_was_written(message_id: int, phone: int, text: str) -> None:
    written = dialect.maker.write(Outgoing(message_id, phone, text))
    assert json.loads(written.body.decode("utf-8")) == {"id": message_id, "phone": phone, "text": text}
    assert written.url == f"https://provider.example/v1/send/{message_id}"
    assert set(written.headers) == {
        "Accept: application/json", "Content-Type: application/json", "Authorization: Bearer t0ken",
    }  # fmt: skip
