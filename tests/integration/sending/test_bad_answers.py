"""Answers that are no answers: whatever a gateway says, the call ends soon, costs little, and has an outcome."""

import gzip
import json
import time
from dataclasses import replace

import pytest

from shared.domain.message import Error
from shared.domain.profile.answer import MAX_BODY, Answer
from shared.domain.profile.provider import Limits
from shared.domain.profile.reading import Reader
from shared.domain.retry import Outcome, OutcomeKind
from shared.providers.loading import read_file
from tests.integration.sending.test_written_profiles import PROFILES, dialect
from tests.support.gateway import Said, gateway
from tests.support.sending import Sending

UNCLEAR = Outcome(OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER)
NAMES = ("pigeon", "relay", "post_office")
GOOD = {
    "pigeon": b"OK 1",
    "relay": b'{"batch": {"results": [{"state": "TAKEN"}]}}',
    "post_office": b"<letter status='posted' number='1'/>",
}
STATUS = {"pigeon": 200, "relay": 202, "post_office": 200}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "without"])
def test_a_gigabyte(name: str, announced: bool) -> None:
    """It begins like a good answer."""
    chunk = GOOD[name].ljust(1 << 20)
    said = Said(STATUS[name], chunk, length=1 << 30 if announced else 1 << 40)
    with (
        gateway(lambda _: said, times=1024) as here,
        Sending(here.url, dialect=dialect(name, here.url, "x")) as sending,
    ):
        started = time.monotonic()
        (result,) = sending.send([1])
        assert time.monotonic() - started < 5
    assert result.outcome == UNCLEAR
    assert here.written < 64 << 20


@pytest.mark.parametrize("name", NAMES)
def test_one_that_breaks_off(name: str) -> None:
    said = Said(STATUS[name], GOOD[name], length=len(GOOD[name]) + 10)
    with gateway(lambda _: said) as here, Sending(here.url, dialect=dialect(name, here.url, "x"), timeout=1) as sending:
        (result,) = sending.send([1])
    assert result.outcome.kind is OutcomeKind.AMBIGUOUS


def test_a_redirect_is_not_followed() -> None:
    with (
        gateway(lambda _: Said(302, b"")) as here,
        Sending(here.url, dialect=dialect("pigeon", here.url, "x")) as sending,
    ):
        (result,) = sending.send([1])
    assert result.outcome == Outcome(OutcomeKind.UNAUTHORIZED, Error.REDIRECTED)
    assert len(here.asked) == 1


DEEP = [b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'{"batch":' * 7_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000]
JSON = {"batch": {"results": [{"state": "TAKEN", "ticket": "Ж1", "note": ""}]}}
ENCODED = [json.dumps(JSON, ensure_ascii=False).encode(coding) for coding in ("utf-8-sig", "utf-16", "utf-32")]
OTHERS = [json.dumps(JSON, ensure_ascii=False).encode(coding) for coding in ("cp1251", "koi8-r")]


def relay() -> Reader:
    (provider,) = read_file(PROFILES / "relay.toml", Limits())
    return Reader(provider.reading)


@pytest.mark.parametrize("body", DEEP, ids=len)
def test_ten_thousand_levels(body: bytes) -> None:
    assert len(body) <= MAX_BODY
    assert relay().outcome(Answer(202, body)) == UNCLEAR
    assert relay().outcome(Answer(400, body)).kind is OutcomeKind.REFUSED


@pytest.mark.parametrize("body", ENCODED)
def test_an_encoding_of_json(body: bytes) -> None:
    outcome = relay().outcome(Answer(202, body))
    assert (outcome.kind, outcome.reference) == (OutcomeKind.ACCEPTED, "Ж1")


@pytest.mark.parametrize(
    "body", [*OTHERS, gzip.compress(b"{}", mtime=0), b"\0" * 100, b"\xff\xfe", b'{"batch": NaN}', b"9" * 5_000]
)
def test_what_is_no_json_is_unclear(body: bytes) -> None:
    assert relay().outcome(Answer(202, body)) == UNCLEAR
    assert relay().outcome(Answer(503, body)).kind is OutcomeKind.TRANSIENT
    assert relay().outcome(Answer(400, body)).words.isprintable()


def test_a_pattern_takes_no_longer_than_the_text() -> None:
    """Elsewhere this one takes longer than the world is old."""
    (provider,) = read_file(PROFILES / "pigeon.toml", Limits())
    rules = [rule for rule in provider.reading.rules if rule.pattern == "^OK [0-9]+"]
    evil = replace(provider.reading, rules=(replace(rules[0], pattern="^(a+)+$"),), reference=None)
    started = time.monotonic()
    assert Reader(evil).outcome(Answer(200, b"a" * (MAX_BODY - 1) + b"!")) == UNCLEAR
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("ticket", ["x" * 201, "a\0b", "\ud800", "a\nb", ""])
def test_a_reference_that_cannot_be_kept_is_none(ticket: str) -> None:
    said = {"batch": {"results": [{"state": "TAKEN", "ticket": ticket}]}}
    outcome = relay().outcome(Answer(202, json.dumps(said).encode()))
    assert (outcome.kind, outcome.reference) == (OutcomeKind.ACCEPTED, None)
