"""What the presets say and understand, by the words of the providers' own documents."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.simulator.dialects import DIALECTS
from sandbox.simulator.dialects.base import Trouble
from sandbox.simulator.http1 import parse
from shared.domain.message import Error
from shared.domain.profile.answer import Answer
from shared.domain.profile.document import read_document
from shared.domain.profile.making import Maker, Outgoing
from shared.domain.profile.provider import Limits, Provider
from shared.domain.profile.reading import Reader
from shared.domain.receipt import ReceiptState
from shared.domain.retry import Outcome, OutcomeKind
from shared.providers.presets import presets

SECRET = "s3cret+&%"

SETTINGS = {
    "seed": 'url = "http://127.0.0.1:1/v1/send/{id}"\nsecrets = { token = "env:S" }',
    "twilio": 'values = { account = "AC1" }\nsecrets = { token = "env:S" }\nsenders = ["+15005550006"]',
    "vonage": 'values = { key = "abcd1234" }\nsecrets = { secret = "env:S" }\nsenders = ["Shop"]',
    "infobip": 'values = { host = "x.api.infobip.com" }\nsecrets = { key = "env:S" }\nsenders = ["Shop"]',
    "smsc": 'values = { login = "shop" }\nsecrets = { password = "env:S" }',
    "smsaero": 'values = { email = "a@b.example" }\nsecrets = { key = "env:S" }\nsenders = ["SMS Aero"]',
    "kannel": (
        'url = "http://127.0.0.1:1/cgi-bin/sendsms"\nvalues = { user = "shop" }\nsecrets = { password = "env:S" }'
    ),
}


def preset(name: str) -> Provider:
    text = f'[providers.p]\npreset = "{name}"\n{SETTINGS[name]}\n'
    (provider,) = read_document(text, presets(), Limits())
    return provider


def test_there_are_settings_for_all_of_them() -> None:
    assert SETTINGS.keys() == presets().keys()


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"seed", "smsaero"}))
def test_receipts_are_there_where_they_are_asked_for(name: str) -> None:
    assert preset(name).receipts is None
    settings = SETTINGS[name]
    if name != "twilio":
        settings = settings.replace("secrets = { ", 'secrets = { receipts = "env:R", ')
    text = f'[providers.p]\npreset = "{name}"\n{settings}\nreceipts = {{}}\n'
    (provider,) = read_document(text, presets(), Limits())
    assert provider.receipts is not None
    assert ReceiptState.DELIVERED in provider.receipts.values.values()


def out(kind: str, error: Error | None = None) -> Outcome:
    return Outcome(OutcomeKind(kind), error)


ACCEPTED, REFUSED = out("accepted"), out("refused", Error.REJECTED)
OURS, UNPAID = out("unauthorized", Error.UNAUTHORIZED), out("unauthorized", Error.UNPAID)
LIMITED = out("limited", Error.RATE_LIMITED)
DOWN, DECLINED = out("transient", Error.SERVER_ERROR), out("transient", Error.DECLINED)
UNCLEAR = out("ambiguous", Error.BAD_ANSWER)


def vonage(*statuses: str) -> dict[str, Any]:
    return {"message-count": str(len(statuses)), "messages": [{"status": status} for status in statuses]}


def infobip(group: str, name: str) -> dict[str, Any]:
    return {"messages": [{"messageId": "7", "status": {"groupName": group, "name": name, "description": "d"}}]}


TABLE: list[tuple[str, int, Any, Outcome]] = [
    ("twilio", 201, {"sid": "SM1", "status": "queued"}, ACCEPTED),
    ("twilio", 200, {"sid": "SM1"}, ACCEPTED),
    ("twilio", 201, {"status": "queued"}, UNCLEAR),
    ("twilio", 400, {"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400}, REFUSED),
    ("twilio", 400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient"}, REFUSED),
    ("twilio", 400, {"code": 21606, "message": "The 'From' number is not yours"}, OURS),
    ("twilio", 400, {"code": 21611, "message": "queue full"}, LIMITED),
    ("twilio", 401, {"code": 20003, "message": "Authenticate"}, OURS),
    ("twilio", 429, {"code": 20429, "message": "Too many requests"}, LIMITED),
    ("twilio", 429, b"", LIMITED),
    ("twilio", 404, {"code": 20404}, out("unauthorized", Error.WRONG_ADDRESS)),
    ("twilio", 500, {"code": 20500}, DOWN),
    ("vonage", 200, vonage("0"), ACCEPTED),
    ("vonage", 200, vonage("0", "0", "0"), ACCEPTED),
    ("vonage", 200, vonage("0", "1"), UNCLEAR),  # a part of it was taken
    ("vonage", 200, vonage(), UNCLEAR),
    ("vonage", 200, {"messages": [{"status": 0}]}, UNCLEAR),  # no text
    ("vonage", 200, vonage("1"), LIMITED),
    ("vonage", 200, vonage("10"), LIMITED),
    ("vonage", 200, vonage("2"), REFUSED),
    ("vonage", 200, vonage("4"), OURS),
    ("vonage", 200, vonage("5"), DOWN),
    ("vonage", 200, vonage("6"), REFUSED),
    ("vonage", 200, vonage("7"), REFUSED),
    ("vonage", 200, vonage("8"), OURS),
    ("vonage", 200, vonage("9"), UNPAID),
    ("vonage", 200, vonage("15"), REFUSED),
    ("vonage", 200, vonage("99"), REFUSED),
    ("vonage", 401, b"", OURS),
    ("vonage", 200, b"<!doctype html>", UNCLEAR),
    ("infobip", 200, infobip("PENDING", "PENDING_ACCEPTED"), ACCEPTED),
    ("infobip", 200, infobip("REJECTED", "REJECTED_NOT_ENOUGH_CREDITS"), UNPAID),
    ("infobip", 200, infobip("REJECTED", "REJECTED_DESTINATION"), REFUSED),
    ("infobip", 200, infobip("UNDELIVERABLE", "UNDELIVERABLE_REJECTED_OPERATOR"), REFUSED),
    ("infobip", 200, infobip("NEW", "NEW"), UNCLEAR),
    ("infobip", 200, {"messages": []}, UNCLEAR),
    ("infobip", 401, {"errorCode": "E401"}, OURS),
    ("infobip", 400, {"errorCode": "E400"}, REFUSED),
    ("infobip", 429, {}, LIMITED),
    ("infobip", 503, {}, DOWN),
    ("smsc", 200, {"id": 1, "cnt": 1}, ACCEPTED),
    ("smsc", 200, {"error": "x", "error_code": 1}, REFUSED),
    ("smsc", 200, {"error": "x", "error_code": 2}, OURS),
    ("smsc", 200, {"error": "x", "error_code": 3}, UNPAID),
    ("smsc", 200, {"error": "x", "error_code": 4}, LIMITED),
    ("smsc", 200, {"error": "x", "error_code": 6, "id": 7}, REFUSED),
    ("smsc", 200, {"error": "x", "error_code": 7}, REFUSED),
    ("smsc", 200, {"error": "x", "error_code": 8}, REFUSED),
    ("smsc", 200, {"error": "x", "error_code": 9}, LIMITED),
    ("smsc", 200, {"error": "x", "error_code": 99}, DECLINED),
    ("smsc", 200, {"error": "x", "error_code": 3, "cnt": 1}, UNPAID),
    ("smsc", 200, b"ERROR = 1 (parameters error)", UNCLEAR),
    ("smsaero", 200, {"success": True, "data": {"id": 5}, "message": None}, ACCEPTED),
    ("smsaero", 200, {"success": False, "data": None, "message": "Validation error."}, REFUSED),
    ("smsaero", 400, {"success": False, "data": None, "message": "Validation error."}, REFUSED),
    ("smsaero", 401, {"success": False, "data": None, "message": "invalid credentials"}, OURS),
    ("smsaero", 200, {"success": False, "message": "Your request was made with invalid credentials."}, OURS),
    ("smsaero", 200, {"success": False, "message": "Not enough money."}, UNPAID),
    ("smsaero", 402, {}, UNPAID),
    ("smsaero", 200, {"result": "no credits"}, UNPAID),
    ("smsaero", 200, {"result": "reject", "reason": "x"}, REFUSED),
    ("smsaero", 200, {"success": "true"}, UNCLEAR),
    ("kannel", 202, b"0: Accepted for delivery", ACCEPTED),
    ("kannel", 202, b"3: Queued for later delivery", ACCEPTED),
    ("kannel", 202, b"4: Rejected", UNCLEAR),
    ("kannel", 200, b"0: Accepted for delivery", UNCLEAR),
    ("kannel", 403, b"Authorization failed for sendsms", OURS),
    ("kannel", 400, b"Missing receiver number, rejected", REFUSED),
    ("kannel", 503, b"Temporal failure, try again later.", DOWN),
]


@pytest.mark.parametrize(("name", "status", "body", "outcome"), TABLE, ids=lambda value: str(value)[:60])
def test_what_an_answer_means(name: str, status: int, body: Any, outcome: Outcome) -> None:
    said = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert Reader(preset(name).reading).outcome(Answer(status, said)) == outcome


def test_the_providers_words_and_its_id() -> None:
    reader = Reader(preset("twilio").reading)
    assert reader.outcome(Answer(201, b'{"sid": "SM77"}')).reference == "SM77"
    said = b'{"code": 21211, "message": "Invalid To +79161234567", "more_info": "https://x"}'
    assert reader.outcome(Answer(400, said)).words == "Invalid To 7916*****67"
    assert Reader(preset("smsc").reading).outcome(Answer(200, b'{"id": 12, "cnt": 1}')).reference == "12"
    assert Reader(preset("infobip").reading).outcome(
        Answer(200, json.dumps(infobip("PENDING", "PENDING_ACCEPTED")).encode())
    ).reference == "7"  # fmt: skip


def written(name: str, message: Outgoing, receipt_url: str | None = None) -> tuple[str, str, Mapping[str, str], bytes]:
    provider = preset(name)
    maker = Maker(provider, dict.fromkeys(provider.secrets, SECRET), receipt_url)
    url, headers, body = maker.write(message)
    return maker.method, url, dict(line.split(": ", 1) for line in headers), body or b""


MESSAGE = Outgoing(77, 79161234567, 'Скидка "50 %" & подарок', "Shop", 3_700)
ASCII = MESSAGE._replace(text="Sale: 50 % & more")


def test_twilio_is_told_a_message() -> None:
    method, url, headers, body = written("twilio", MESSAGE, "https://me/r?x=1")
    assert (method, url) == ("POST", "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json")
    assert parse_qs(body.decode(), strict_parsing=True) == {
        "To": ["+79161234567"], "From": ["Shop"], "Body": [MESSAGE.text], "ValidityPeriod": ["3700"],
        "StatusCallback": ["https://me/r?x=1"],
    }  # fmt: skip
    assert headers["Authorization"] == "Basic QUMxOnMzY3JldCsmJQ=="
    assert "StatusCallback" not in parse_qs(written("twilio", MESSAGE)[3].decode())


def test_a_validity_is_told_within_what_the_provider_takes() -> None:
    for seconds, told in [(0, "1"), (36_000, "36000"), (10**7, "36000")]:
        body = written("twilio", MESSAGE._replace(validity=seconds))[3]
        assert parse_qs(body.decode())["ValidityPeriod"] == [told]
    assert parse_qs(written("smsc", MESSAGE)[3].decode())["valid"] == ["1"]  # whole hours, and not beyond the end
    assert parse_qs(written("vonage", MESSAGE)[3].decode())["ttl"] == ["3700000"]


def test_the_alphabet_goes_by_the_text() -> None:
    assert parse_qs(written("vonage", MESSAGE)[3].decode())["type"] == ["unicode"]
    assert parse_qs(written("vonage", ASCII)[3].decode())["type"] == ["text"]
    assert parse_qs(urlsplit(written("kannel", ASCII)[1]).query)["coding"] == ["0"]


def test_infobip_is_told_a_message() -> None:
    body = written("infobip", MESSAGE._replace(sender='S"'))[3]
    assert json.loads(body) == {"messages": [{
        "sender": 'S"', "destinations": [{"to": "79161234567", "messageId": "77"}], "content": {"text": MESSAGE.text},
        "options": {"validityPeriod": {"amount": 3700, "timeUnit": "SECONDS"}},
    }]}  # fmt: skip


def test_kannel_is_told_a_message() -> None:
    method, url, headers, body = written("kannel", MESSAGE, "http://me/receipts/k/s/")
    assert (method, headers, body) == ("GET", {}, b"")
    assert parse_qs(urlsplit(url).query) == {
        "username": ["shop"], "password": [SECRET], "from": ["Shop"], "to": ["+79161234567"], "text": [MESSAGE.text],
        "charset": ["UTF-8"], "coding": ["2"], "validity": ["61"], "dlr-mask": ["31"],
        "dlr-url": ["http://me/receipts/k/s/?id=77&status=%d"],
    }  # fmt: skip
    assert "dlr" not in written("kannel", MESSAGE)[1]


MEANT = {
    Trouble.UNAUTHORIZED: "unauthorized",
    Trouble.UNPAID: "unauthorized",
    Trouble.REFUSED: "refused",
    Trouble.LIMITED: "limited",
    Trouble.DECLINED: "transient",
    Trouble.BROKEN: "refused",
}


IN_THE_SIMULATOR = {type(dialect).__name__.lower(): dialect for dialect in DIALECTS}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_simulator_speaks_the_dialect(name: str) -> None:
    """It understands what the preset says, and the preset what it answers."""
    dialect = IN_THE_SIMULATOR[name]
    method, url, headers, body = written(name, MESSAGE, "https://me/r")
    parts = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    raw = f"{method} {target} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
    parsed = parse(raw)
    assert parsed
    request, _ = parsed
    assert request.path.startswith(dialect.prefix)
    heard = dialect.read(request, SECRET)
    assert (heard.phone, heard.text) == (MESSAGE.phone, MESSAGE.text)
    reader = Reader(preset(name).reading)

    def meant(answer: bytes) -> str:
        head, _, said = answer.partition(b"\r\n\r\n")
        return reader.outcome(Answer(int(head[9:12]), said)).kind

    assert meant(dialect.ok(heard)) == "accepted"
    for trouble, kind in MEANT.items():
        assert meant(dialect.no(trouble)) == kind, trouble
