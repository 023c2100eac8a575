"""Profiles of gateways that nobody has, written from docs/providers.md and the gateways' documents alone."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dispatcher_service.sending.dialect import Dialect
from shared.domain.message import Error
from shared.domain.profile.answer import Answer
from shared.domain.profile.provider import Limits
from shared.domain.profile.reading import Reader
from shared.domain.profile.template import parse
from shared.domain.retry import Outcome, OutcomeKind
from shared.providers.loading import read_file
from tests.support.gateway import Asked, Said, gateway
from tests.support.sending import Sending

PROFILES = Path(__file__).parents[2] / "support/profiles"
PHONE, TEXT = "79123456789", "Привет"  # of the attempts that `Sending` makes


def pigeon(asked: Asked) -> Said:
    """As its document says. What goes wrong with an id that ends with 2 to 5 is the error of this number."""
    query, trouble = asked.query, {"2": "no such subscriber", "3": "come back later", "4": "too fast", "5": "no money"}
    if asked.method != "GET" or query["key"] != "s3cret&":
        return Said(200, b"NO 1 wrong key")
    assert (query["who"], query["what"]) == (f"+{PHONE}", TEXT)
    assert 1 <= int(query["until"]) <= 60
    assert query["tell"] == "https://me.example/receipts/pigeon/?a=1"
    why = trouble.get(query["nr"][-1])
    return Said(200, f"NO {query['nr'][-1]} {why}".encode() if why else b"OK 9000000" + query["nr"].encode())


def relay(asked: Asked) -> Said:
    if asked.headers["x-relay-key"] != "s3cret&":
        return Said(401, b"")
    body = json.loads(asked.body)
    number = int(body["batch"]["reference"].removeprefix("m-"))
    assert body["batch"]["items"] == [{"msisdn": int(PHONE), "body": TEXT, "from": "Shop"}]
    assert 0 < body["expire"]["in"] <= 3600
    if number % 10 == 4:
        return Said(429, b"slow down")
    if number % 10 == 5:
        return Said(402, b"")
    state, note = {2: ("REFUSED", "no such number"), 3: ("BUSY", "later")}.get(number % 10, ("TAKEN", ""))
    result = {"state": state, "ticket": f"T{number}", "note": note}
    return Said(202, json.dumps({"batch": {"results": [result]}}).encode(), "application/json")


def post_office(asked: Asked) -> Said:
    if asked.headers.get("authorization") != f"Basic {base64.b64encode(b'box 7:s3cret&').decode()}":
        return Said(401, b"")
    form = asked.form
    assert (asked.method, form["to"], form["words"], form["alphabet"]) == ("POST", PHONE, TEXT, "any")
    assert form["best_before"] == "1"
    why = {"2": "address", "3": "office closed", "5": "postage"}.get(form["stamp"][-1])
    if form["stamp"][-1] == "4":
        return Said(429, b"")
    if why:
        return Said(200, f"<?xml version='1.0'?><letter status='returned' why='{why}'/>".encode(), "text/xml")
    return Said(200, f"<letter status='posted' number='RR{form['stamp']}RU'/>".encode(), "text/xml")


EXPECTED = {
    11: Outcome(OutcomeKind.ACCEPTED),
    12: Outcome(OutcomeKind.REFUSED, Error.REJECTED),
    13: Outcome(OutcomeKind.TRANSIENT, Error.DECLINED),
    14: Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED),
    15: Outcome(OutcomeKind.UNAUTHORIZED, Error.UNPAID),
}

GATEWAYS: dict[str, tuple[Callable[[Asked], Said], str, str]] = {
    "pigeon": (pigeon, "900000011", "no such subscriber"),
    "relay": (relay, "T11", "no such number"),
    "post_office": (post_office, "RR11RU", "address"),
}


def dialect(name: str, url: str, secret: str) -> Dialect:
    (provider,) = read_file(PROFILES / f"{name}.toml", Limits())
    here = "".join(str(part) for part in provider.request.url).replace("http://127.0.0.1:1", url)
    provider = replace(provider, request=replace(provider.request, url=parse(here)))
    return Dialect(provider, dict.fromkeys(provider.secrets, secret), "https://me.example/receipts/pigeon/?a=1")


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateway_by_a_profile_written_from_the_page(name: str) -> None:
    answer, reference, words = GATEWAYS[name]
    with gateway(answer) as here:
        spoken = dialect(name, here.url, "s3cret&")
        with Sending(here.url, dialect=spoken) as sending:
            results = {result.attempt.message.id: result.outcome for result in sending.send(EXPECTED)}
        said = [answer(asked) for asked in here.asked]
    assert results == EXPECTED
    assert results[12].words == words
    reader = Reader(spoken.provider.reading)
    assert reference in [reader.outcome(Answer(each.status, each.body)).reference for each in said]


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_wrong_secret_is_ours_to_mend(name: str) -> None:
    answer = GATEWAYS[name][0]
    with gateway(answer) as here, Sending(here.url, dialect=dialect(name, here.url, "wrong")) as sending:
        (result,) = sending.send([1])
    assert result.outcome == Outcome(OutcomeKind.UNAUTHORIZED, Error.UNAUTHORIZED)


def test_libcurl_repeats_no_get_by_itself() -> None:
    """On a kept connection that breaks after the request it would, and nobody would know."""

    def answer(asked: Asked) -> Said | None:
        return pigeon(asked) if asked.query["nr"] == "11" else None

    with gateway(answer) as here, Sending(here.url, dialect=dialect("pigeon", here.url, "s3cret&")) as sending:
        sending.send([11])
        (lost,) = sending.send([21])
    assert lost.outcome == Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST)
    assert [asked.query["nr"] for asked in here.asked] == ["11", "21"]


def test_a_secret_that_has_changed_is_used_from_the_next_call_on() -> None:
    with gateway(relay) as here:
        spoken = dialect("relay", here.url, "wrong")
        with Sending(here.url, dialect=spoken) as sending:
            (refused,) = sending.send([1])
            spoken.renew({"key": "s3cret&"})
            (accepted,) = sending.send([11])
    assert refused.outcome.kind is OutcomeKind.UNAUTHORIZED
    assert accepted.outcome.kind is OutcomeKind.ACCEPTED


def test_a_provider_that_quotes_the_secret_is_not_quoted() -> None:
    said = json.dumps({"batch": {"results": [{"state": "REFUSED", "note": "x" * 295 + " key s3cret&"}]}})
    spoken = dialect("relay", "http://127.0.0.1:1", "s3cret&")
    for answer in (Answer(202, said.encode()), Answer(401, b"there is no key s3cret& here")):
        outcome = spoken.outcome(answer)
        assert outcome.words
        assert "s3c" not in outcome.words
