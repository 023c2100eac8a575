"""The section of a profile that says how receipts look: what is refused, what is authentic, what is read."""

import hashlib
import hmac
import json
import re
import tomllib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.domain.profile.document import read_document
from shared.domain.profile.provider import Limits
from shared.domain.profile.receipts import Receipts, ReceiptsError, parse
from shared.domain.profile.receiving import MAX_ITEMS, Incoming, NotReadable, Receiver, Why, receipt_url
from shared.domain.receipt import Receipt, ReceiptState
from shared.providers.loading import seed
from shared.providers.presets import presets

KNOWN = {"secret": "s3cret", "user": "gate", "password": "pass"}
PLAIN: dict[str, Any] = {
    "id": "id",
    "status": "status",
    "values": {"ok": "delivered", "no": "undelivered", "wait": "awaiting"},
    "authentication": {"kind": "path", "secret": "{secret}"},
}


def section(**more: Any) -> Receipts:
    given = {key: value for key, value in (PLAIN | more).items() if value is not None}
    return parse(given, KNOWN)


def receiver(**more: Any) -> Receiver:
    return Receiver(section(**more), KNOWN)


def address(receipts: Receipts) -> str | None:
    provider = replace(seed("https://gate.example", "", Limits()), name="p", receipts=receipts)
    assert receipt_url(provider, KNOWN, None) is None
    return receipt_url(provider, KNOWN, "https://us.example")


def posted(document: Any, **more: Any) -> Incoming:
    return Incoming("POST", "https://us.example/receipts/p/", "s3cret", {}, body=json.dumps(document).encode(), **more)


@pytest.mark.parametrize(
    ("more", "key", "why"),
    [
        ({"statuss": "x"}, "statuss", "is not known"),
        ({"status": None}, "status", "is missing"),
        ({"id": None}, "id", "is missing"),
        ({"id": "a..b"}, "id", "must be names and places"),
        ({"status": "a.*.b"}, "status", "must name one place"),
        ({"list": "a.*"}, "list", "must name one place"),
        ({"id": 7}, "id", "must be a text"),
        ({"in": "xml"}, "in", "must be one of json, form, query"),
        ({"in": "form", "list": "results"}, "list", "goes with"),
        ({"method": "PUT"}, "method", "must be GET, POST"),
        ({"method": []}, "method", "must be GET, POST"),
        ({"method": "GET"}, "method", "stands in its query"),
        ({"values": {}}, "values", "must be a table"),
        ({"values": {"ok": "yes"}}, "values.ok", "must be one of"),
        ({"values": {"wait": "awaiting"}}, "values", "never says"),
        ({"authentication": None}, "authentication", "is missing"),
        ({"authentication": {"kind": "none"}}, "authentication.kind", "must be one of"),
        ({"authentication": {"kind": "path"}}, "authentication.secret", "is missing"),
        ({"authentication": {"kind": "path", "secret": "s3cret"}}, "authentication.secret", "must name a secret"),
        ({"authentication": {"kind": "path", "secret": "{other}"}}, "authentication.secret", "does not have"),
        ({"authentication": {"kind": "path", "secret": "{secret"}}, "authentication.secret", "lone"),
        ({"authentication": {"kind": "path", "secret": "{secret}", "user": "x"}}, "authentication.user", "not known"),
        ({"authentication": {"kind": "hmac", "secret": "{secret}"}}, "authentication.header", "one of them"),
        (
            {"authentication": {"kind": "hmac", "secret": "{secret}", "header": "X", "algorithm": "crc32"}},
            "authentication.algorithm",
            "must be one of",
        ),
        ({"answer": {"status": 302}}, "answer.status", "from 200 to 299"),
        ({"answer": {"status": 204, "body": "OK"}}, "answer.body", "must not be there"),
        ({"answer": {"text": "OK"}}, "answer.text", "is not known"),
    ],
)
def test_what_is_refused(more: Any, key: str, why: str) -> None:
    with pytest.raises(ReceiptsError, match=why) as error:
        section(**more)
    assert error.value.key == key


def test_what_is_read_of_a_list() -> None:
    document = {
        "results": [
            {"ref": "a-1", "s": {"name": "ok"}, "why": "", "at": "2026-11-30T12:00:00+03:00"},
            {"id": 7, "ref": "a-2", "s": {"name": "no"}, "why": "absent", "at": 1764500000},
            {"id": "8", "s": {"name": "wait"}, "at": "yesterday"},
            {"id": 9, "s": {"name": "lost"}},
            {"id": 0, "s": {"name": "ok"}},
            {"id": True, "s": {"name": "ok"}},
            {"id": 2**63, "s": {"name": "ok"}},
            {"id": 10, "s": None},
            "nonsense",
            None,
        ]
    }
    read = receiver(list="results", reference="ref", status="s.name", reason="why", at="at").read(posted(document))
    assert read.receipts == [
        Receipt(ReceiptState.DELIVERED, None, "a-1", None, datetime(2026, 11, 30, 9, tzinfo=UTC)),
        Receipt(ReceiptState.UNDELIVERED, 7, None, "absent", datetime(2025, 11, 30, 10, 53, 20, tzinfo=UTC)),
        Receipt(ReceiptState.AWAITING, 8),
    ]
    assert (read.unreadable, dict(read.unlisted)) == (6, {"lost": 1})


def test_fields_of_a_form_and_of_a_query() -> None:
    fields = [("message-id", "5"), ("status", "ok"), ("status", "no"), ("err", "0"), ("time", "2026-11-30 12:00:00")]
    wanted = [Receipt(ReceiptState.DELIVERED, 5, None, "0", datetime(2026, 11, 30, 12, tzinfo=UTC))]
    names = {"id": "message-id", "reason": "err", "at": "time"}
    assert receiver(**{"in": "form"}, **names).read(Incoming("POST", "", "", {}, form=fields)).receipts == wanted
    of_query = receiver(**{"in": "query", "method": "GET"}, **names)
    assert of_query.read(Incoming("GET", "", "", {}, query=fields)).receipts == wanted


@pytest.mark.parametrize("document", [[{"id": 1, "status": "ok"}], {"id": 1, "status": "ok"}])
def test_one_or_the_whole_document_as_a_list(document: Any) -> None:
    found = receiver(list="" if isinstance(document, list) else None).read(posted(document)).receipts
    assert found == [Receipt(ReceiptState.DELIVERED, 1)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", Why.NOT_JSON),
        (b"{", Why.NOT_JSON),
        (b"\xff\xfe\xfd", Why.NOT_JSON),
        (b"[" * 100_000, Why.NOT_JSON),
        (b"9" * 10_000, Why.NOT_JSON),
        (b"{}", Why.NO_LIST),
        (b'{"results": {}}', Why.NO_LIST),
        (json.dumps({"results": [0] * (MAX_ITEMS + 1)}).encode(), Why.TOO_MANY),
    ],
)
def test_what_is_not_readable_at_all(body: bytes, why: Why) -> None:
    with pytest.raises(NotReadable) as error:
        receiver(list="results").read(Incoming("POST", "", "", {}, body=body))
    assert error.value.why is why


def test_ten_thousand_are_read() -> None:
    document = {"results": [{"id": n, "status": "ok"} for n in range(1, MAX_ITEMS + 1)]}
    assert len(receiver(list="results").read(posted(document)).receipts) == MAX_ITEMS


def test_a_secret_in_the_path() -> None:
    found = receiver()
    assert found.is_authentic(posted({}))
    assert found.is_authentic(posted({})._replace(rest="s3cret/more"))
    for wrong in ("", "s3cre", "s3cret2", "S3CRET", "/s3cret", "\ud800"):
        assert not found.is_authentic(posted({})._replace(rest=wrong))
    assert address(found.receipts) == "https://us.example/receipts/p/s3cret/"


def test_without_a_secret_nobody_is_authentic() -> None:
    empty = Receiver(section(), {"secret": ""})
    assert not empty.is_authentic(posted({})._replace(rest=""))


def test_basic_authentication() -> None:
    found = receiver(authentication={"kind": "basic", "user": "{user}", "password": "{password}"})
    token = b64encode(b"gate:pass").decode()
    for header in (f"Basic {token}", f"basic  {token}"):
        assert found.is_authentic(posted({})._replace(headers={"authorization": header}))
    for header in ("", token, f"Bearer {token}", "Basic", f"Basic {b64encode(b'gate:past').decode()}"):
        assert not found.is_authentic(posted({})._replace(headers={"authorization": header}))
    assert address(found.receipts) == "https://us.example/receipts/p/"


def test_a_secret_in_a_header() -> None:
    found = receiver(authentication={"kind": "header", "header": "X-Token", "secret": "{secret}"})
    assert found.is_authentic(posted({})._replace(headers={"x-token": "s3cret"}))
    assert not found.is_authentic(posted({})._replace(headers={"x-token": "s3cret "}))


def test_a_signed_body() -> None:
    found = receiver(
        authentication={"kind": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256=", "secret": "{secret}"}
    )
    request = posted([{"id": 1, "status": "ok"}])
    digest = hmac.new(b"s3cret", request.body, "sha256").hexdigest()
    for given in (f"sha256={digest}", f"sha256={digest.upper()}"):
        assert found.is_authentic(request._replace(headers={"x-hub-signature-256": given}))
    for given in ("", digest, f"sha1={digest}", f"sha256={digest[:-1]}"):
        assert not found.is_authentic(request._replace(headers={"x-hub-signature-256": given}))
    changed = request._replace(headers={"x-hub-signature-256": f"sha256={digest}"}, body=request.body + b" ")
    assert not found.is_authentic(changed)


def test_the_signature_of_twilio() -> None:
    """The example of its documents: https://www.twilio.com/docs/usage/security#validating-requests"""
    given = PLAIN | {"in": "form", "authentication": {"kind": "twilio", "secret": "{token}"}}
    found = Receiver(parse(given, ["token"]), {"token": "12345"})
    form = [
        ("Digits", "1234"), ("To", "+18005551212"), ("From", "+12349013030"), ("Caller", "+12349013030"),
        ("CallSid", "CA1234567890ABCDE"),
    ]  # fmt: skip
    headers = {"x-twilio-signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ="}
    request = Incoming("POST", "https://mycompany.com/myapp.php?foo=1&bar=2", "", headers, form=form)
    assert found.is_authentic(request)
    assert not found.is_authentic(request._replace(url="https://mycompany.com/myapp.php?foo=1&bar=3"))
    assert not found.is_authentic(request._replace(form=[*form, ("MessageStatus", "delivered")]))


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_the_signature_of_vonage(algorithm: str) -> None:
    """As its documents make it: sorted, `&` and `=` in a value replaced, without `sig` itself; of a GET or a form."""
    found = receiver(**{"in": "form"}, authentication={"kind": "vonage", "secret": "{secret}", "algorithm": algorithm})
    fields = [("messageId", "0A0000"), ("status", "ok"), ("text", "a&b=c"), ("id", "7"), ("timestamp", "1764500000")]
    said = "&id=7&messageId=0A0000&status=ok&text=a_b_c&timestamp=1764500000"
    digest = hmac.new(b"s3cret", said.encode(), getattr(hashlib, algorithm)).hexdigest().upper()
    assert found.is_authentic(Incoming("POST", "", "", {}, form=[*fields, ("sig", digest)]))
    assert found.is_authentic(Incoming("POST", "", "", {}, query=[("sig", digest), *fields]))
    assert not found.is_authentic(Incoming("POST", "", "", {}, form=fields))
    assert not found.is_authentic(Incoming("POST", "", "", {}, form=[*fields, ("x", "y"), ("sig", digest)]))


PAGE = (Path(__file__).parents[3] / "docs/receipts.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)


def test_the_section_that_the_documents_show_can_be_read() -> None:
    (shown,) = [tomllib.loads(block) for block in BLOCKS if "[receipts]" in block]
    parse(shown["receipts"], ["receipts"])


def test_what_the_documents_say_beside_a_preset_stands_above_it() -> None:
    (shown,) = [block for block in BLOCKS if "preset =" in block]
    (provider,) = read_document(shown, presets(), Limits())
    assert provider.receipts is not None
    found = Receiver(provider.receipts, {"secret": "", "signature": "s3cret"})
    form = [("client-ref", "7"), ("status", "delivered")]
    said = "&client-ref=7&status=delivered"
    request = Incoming(
        "POST", "", "", {}, form=[*form, ("sig", hmac.new(b"s3cret", said.encode(), "sha512").hexdigest())]
    )
    assert found.is_authentic(request)
    assert found.read(request).receipts == [Receipt(ReceiptState.DELIVERED, 7)]
