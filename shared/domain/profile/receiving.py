"""A request with receipts, seen to be the provider's and read: the section of a profile, compiled. Pure, and it never
raises but for what is not readable at all."""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from shared.domain.profile.provider import Provider
from shared.domain.profile.receipts import Authentication, Kind, Place, Receipts, Signed
from shared.domain.profile.rules import MISSING, finder
from shared.domain.profile.template import Slot, Template
from shared.domain.receipt import Receipt, reason_of, reference_of

MAX_BYTES = 2**20
MAX_ITEMS = 10_000
"""Of one request."""

MAX_ID = 2**63 - 1

Pairs = Sequence[tuple[str, str]]


class Incoming(NamedTuple):
    """A request. url: by which the provider knows us. rest: of the path, behind the provider's name. headers: by their
    names in lower case. query, form: names and values, as they came."""

    method: str
    url: str
    rest: str
    headers: Mapping[str, str]
    query: Pairs = ()
    form: Pairs = ()
    body: bytes = b""


class Why(StrEnum):
    NOT_JSON = "The body is not JSON."
    NO_LIST = "There is no list of receipts where the profile has it."
    TOO_MANY = f"There are more than {MAX_ITEMS:,} receipts in it."


class NotReadable(ValueError):
    """Nothing can be made of a request."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Read:
    """unreadable: items that name no message, or say nothing of one. unlisted: words that the profile does not know, by
    how often they came."""

    receipts: list[Receipt] = field(default_factory=list)
    unreadable: int = 0
    unlisted: Counter[str] = field(default_factory=Counter)


class Receiver:
    """Reads the receipts of one provider."""

    def __init__(self, receipts: Receipts, known: Mapping[str, str]) -> None:
        """known: values and secrets of the profile, by name."""
        self.receipts = receipts
        self.is_authentic: Callable[[Incoming], bool] = _verifier(receipts.authentication, known)
        self._items = None if receipts.items is None else finder(receipts.items)
        self._status = finder(receipts.status)
        self._id, self._reference, self._reason, self._at = (
            finder(path) if path is not None else _nothing
            for path in (receipts.id, receipts.reference, receipts.reason, receipts.at)
        )

    def read(self, request: Incoming) -> Read:
        """Raises NotReadable where there is nothing to be made of it."""
        read = Read()
        for item in self._items_of(request):
            word, message_id = _word(self._status(item)), _id_of(self._id(item))
            reference = None if message_id else reference_of(self._reference(item))
            if word is None or (message_id is None and reference is None):
                read.unreadable += 1
            elif (state := self.receipts.values.get(word)) is None:
                read.unlisted[word[:64]] += 1
            else:
                reason, at = reason_of(self._reason(item)), _moment_of(self._at(item))
                read.receipts.append(Receipt(state, message_id, reference, reason, at))
        return read

    def _items_of(self, request: Incoming) -> Sequence[Any]:
        if self.receipts.place is not Place.JSON:
            return [dict(reversed(request.query if self.receipts.place is Place.QUERY else request.form))]
        try:
            document = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise NotReadable(Why.NOT_JSON) from error
        if self._items is None:
            return [document]
        items = self._items(document)
        if not isinstance(items, list):
            raise NotReadable(Why.NO_LIST)
        if len(items) > MAX_ITEMS:
            raise NotReadable(Why.TOO_MANY)
        return items


def receipt_url(provider: Provider, secrets: Mapping[str, str], public_url: str | None) -> str | None:
    """Where a provider is to send its receipts; None: it sends none, or nobody has said how it reaches us."""
    if provider.receipts is None or public_url is None:
        return None
    address, authentication = f"{public_url}/receipts/{provider.name}/", provider.receipts.authentication
    is_in_path = authentication.kind is Kind.PATH
    return f"{address}{_filled(authentication.secret, {**provider.values, **secrets})}/" if is_in_path else address


def _nothing(_: Any) -> Any:
    return MISSING


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else None


def _id_of(value: object) -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    return value if type(value) is int and 0 < value <= MAX_ID else None


_DIGITS = re.compile(r"[1-9][0-9]{0,18}")


def _moment_of(value: object) -> datetime | None:
    """ISO 8601, in UTC where it names no offset; or Unix time, in seconds or milliseconds."""
    try:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


_NUMBER = re.compile(r"[0-9]{9,14}(\.[0-9]{1,9})?")


def _filled(parts: Template, known: Mapping[str, str]) -> str:
    return "".join(known[part.name] if isinstance(part, Slot) else part for part in parts)


def _verifier(authentication: Authentication, known: Mapping[str, str]) -> Callable[[Incoming], bool]:
    """Each takes as long for a wrong secret as for the right one."""
    secret = _filled(authentication.secret, known)
    if not secret:
        return lambda _: False
    match authentication.kind:
        case Kind.PATH:
            return lambda request: _is_same(request.rest.partition("/")[0], secret)
        case Kind.BASIC:
            token = b64encode(f"{_filled(authentication.user, known)}:{secret}".encode()).decode()
            return lambda request: _is_same(_without(request.headers.get("authorization", ""), "basic "), token)
        case Kind.HEADER:
            name = authentication.header.lower()
            return lambda request: _is_same(request.headers.get(name, ""), secret)
        case Kind.HMAC:
            return _signature(authentication, secret.encode())


def _signature(authentication: Authentication, secret: bytes) -> Callable[[Incoming], bool]:
    name, own = authentication.header.lower(), authentication.field
    is_hex = authentication.encoding == "hex"

    def is_authentic(request: Incoming) -> bool:
        fields = [*request.form, *request.query] if own else request.form
        given = next((value for key, value in fields if key == own), "") if own else request.headers.get(name, "")
        if not given.startswith(authentication.prefix):
            return False
        given = given.removeprefix(authentication.prefix)
        digest = hmac.new(secret, _said(authentication.signed, request, own), authentication.algorithm)
        return _is_same(given.lower(), digest.hexdigest()) if is_hex else _is_same(given, _base64(digest.digest()))

    return is_authentic


def _said(signed: Signed, request: Incoming, own: str) -> bytes:
    """What a signature is made over. own: the field that has it."""
    match signed:
        case Signed.BODY:
            return request.body
        case Signed.URL_AND_FIELDS:
            said = request.url + "".join(name + value for name, value in sorted(set(request.form)))
        case Signed.FIELDS:
            fields = sorted(pair for pair in (*request.form, *request.query) if pair[0] != own)
            said = "".join(f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in fields)
    return said.encode("utf-8", "surrogatepass")


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


def _without(text: str, scheme: str) -> str:
    return text[len(scheme) :].strip() if text[: len(scheme)].lower() == scheme else ""


def _is_same(given: str, wanted: str) -> bool:
    """In constant time, whatever the lengths."""
    one, other = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, wanted))
    return hmac.compare_digest(one, other)
