"""How a provider's receipts look: what a profile says of them, checked. Pure.

A section of a profile, as TOML:

    [receipts]
    method = "POST"                  # or "GET", or both in a list
    in = "json"                      # where what follows stands: json, form, query
    list = "results"                 # several at once, at this path; "": the whole document; left out: one
    id = "callbackData"              # our id of the message …
    reference = "messageId"          # … or the provider's, as it gave it when it took the message
    status = "status.groupName"
    reason = "status.description"    # for people
    at = "doneAt"                    # when it happened: ISO 8601, or Unix time
    authentication = { kind = "path", secret = "{receipts}" }

    [receipts.values]                # of the status; one that is not named here is counted, and says nothing
    DELIVERED = "delivered"
    UNDELIVERABLE = "undelivered"
    PENDING = "awaiting"

    [receipts.answer]                # where the provider wants to hear something special
    body = "OK"
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from shared.domain.profile import template
from shared.domain.profile.rules import Path, parse_place
from shared.domain.profile.template import Template
from shared.domain.receipt import ReceiptState

E = TypeVar("E", bound=StrEnum)


class ReceiptsError(ValueError):
    """key: of the section, with dots. Its text ends a sentence that begins with the key."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


class Place(StrEnum):
    """Where in a request a receipt stands."""

    JSON = "json"
    FORM = "form"
    QUERY = "query"


class Kind(StrEnum):
    """How one sees that a request comes from the provider."""

    PATH = "path"  # a secret stands in the address, behind the provider's name
    BASIC = "basic"  # basic authentication
    HEADER = "header"  # a header has the secret
    HMAC = "hmac"  # signed with the secret


class Signed(StrEnum):
    """What a signature is made over."""

    BODY = "body"  # all of the body
    URL_AND_FIELDS = "url and fields"  # the address, and each name and value of the form in the order of the names
    FIELDS = "fields"  # `&name=value` in the order of the names, without the signature; & and = in a value become _


ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
ENCODINGS = ("hex", "base64")


@dataclass(frozen=True, slots=True)
class Authentication:
    """secret, user: what they are is not known before the secrets are read. header, field: where the secret or the
    signature stands. prefix: of the signature there, such as `sha256=`."""

    kind: Kind
    secret: Template
    user: Template = ()
    header: str = ""
    field: str = ""
    prefix: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    signed: Signed = Signed.BODY


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider is told when its receipts were taken; an empty body: what became of them, as JSON."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Receipts:
    """The section of a profile. items: where several stand; None: it is one. id, reference: one of them is there."""

    authentication: Authentication
    status: Path
    values: Mapping[str, ReceiptState]
    place: Place = Place.JSON
    methods: frozenset[str] = frozenset({"POST"})
    items: Path | None = None
    id: Path | None = None
    reference: Path | None = None
    reason: Path | None = None
    at: Path | None = None
    answer: Answer = field(default_factory=Answer)

    @property
    def needs_references(self) -> bool:
        """Whether messages have to be found by what the provider calls them."""
        return self.reference is not None and self.id is None


_KEYS = frozenset(
    {"method", "in", "list", "id", "reference", "status", "reason", "at", "authentication", "values", "answer"}
)


def parse(section: Mapping[str, Any], names: Collection[str]) -> Receipts:
    """The section, as a reader of TOML gives it. names: those that templates may have, of values and secrets of the
    profile. Raises ReceiptsError."""
    _known(section, _KEYS, "")
    place = _choice(section, "in", Place, Place.JSON)
    paths = {key: _path(section, key, place) for key in ("id", "reference", "status", "reason", "at")}
    if paths["status"] is None:
        raise ReceiptsError("status", "is missing: where it stands what became of the message")
    if paths["id"] is None and paths["reference"] is None:
        raise ReceiptsError("id", "is missing, and `reference` too: one of them says which message it is")
    items = None
    if "list" in section:
        if place is not Place.JSON:
            raise ReceiptsError("list", 'goes with `in = "json"` only')
        items = () if section["list"] == "" else _path(section, "list", place)
    return Receipts(
        authentication=_authentication(section.get("authentication"), names),
        status=paths["status"],
        values=_values(section.get("values")),
        place=place,
        methods=_methods(section.get("method", "GET" if place is Place.QUERY else "POST"), place),
        items=items,
        id=paths["id"],
        reference=paths["reference"],
        reason=paths["reason"],
        at=paths["at"],
        answer=_answer(section.get("answer", {})),
    )


def _known(section: object, keys: Collection[str], place: str) -> None:
    if not isinstance(section, Mapping):
        raise ReceiptsError(place.rstrip("."), "must be a table")
    for key in section:
        if key not in keys:
            raise ReceiptsError(f"{place}{key}", f"is not known; there are {', '.join(sorted(keys))}")


def _text(section: Mapping[str, Any], key: str, place: str = "", default: str | None = None) -> str:
    text = section.get(key, default)
    if text is None:
        raise ReceiptsError(f"{place}{key}", "is missing")
    if not isinstance(text, str) or not text.isprintable() or (not text and default != ""):
        raise ReceiptsError(f"{place}{key}", "must be a text in one line")
    return text


def _choice(section: Mapping[str, Any], key: str, kind: type[E], default: E, place: str = "") -> E:
    text = section.get(key, default)
    try:
        return kind(text)
    except ValueError as error:
        raise ReceiptsError(f"{place}{key}", f"must be one of {', '.join(kind)}") from error


def _path(section: Mapping[str, Any], key: str, place: Place) -> Path | None:
    """A name of the form or the query is one step, whatever is in it."""
    if key not in section:
        return None
    text = _text(section, key)
    if place is not Place.JSON:
        return (text,)
    try:
        return parse_place(text)
    except ValueError as error:
        raise ReceiptsError(key, str(error)) from error


def _methods(given: object, place: Place) -> frozenset[str]:
    methods = frozenset(map(str, given if isinstance(given, list) else [given]))
    if not methods or not methods <= {"GET", "POST"}:
        raise ReceiptsError("method", "must be GET, POST, or a list of them")
    if "GET" in methods and place is not Place.QUERY:
        raise ReceiptsError("method", 'cannot be GET: what a GET says stands in its query (`in = "query"`)')
    return methods


def _values(given: object) -> Mapping[str, ReceiptState]:
    if not isinstance(given, Mapping) or not given:
        raise ReceiptsError("values", f"must be a table from the provider's words to {', '.join(ReceiptState)}")
    found = {}
    for word, state in given.items():
        try:
            found[str(word)] = ReceiptState(state)
        except ValueError as error:
            raise ReceiptsError(f"values.{word}", f"must be one of {', '.join(ReceiptState)}") from error
    if not any(state.is_final for state in found.values()):
        raise ReceiptsError("values", "never says delivered or undelivered")
    return found


def _answer(given: object) -> Answer:
    _known(given, ("status", "body", "type"), "answer.")
    assert isinstance(given, Mapping)  # noqa: S101 - as was seen
    status = given.get("status", 200)
    if type(status) is not int or not 200 <= status < 300:
        raise ReceiptsError("answer.status", "must be a whole number from 200 to 299")
    body = _text(given, "body", "answer.", "")
    if body and status == 204:
        raise ReceiptsError("answer.body", "must not be there with the status 204")
    return Answer(status, body, _text(given, "type", "answer.", "text/plain"))


_PLACE = "authentication."
_OF_KIND = {
    "path": {"secret"},
    "basic": {"user", "password"},
    "header": {"secret", "header"},
    "hmac": {"secret", "header", "field", "prefix", "algorithm", "encoding", "of"},
    "twilio": {"secret"},
    "vonage": {"secret", "algorithm"},
}


def _authentication(given: object, names: Collection[str]) -> Authentication:
    if not isinstance(given, Mapping):
        raise ReceiptsError("authentication", "is missing: without it everybody could say what became of messages")
    name = given.get("kind")
    if name not in _OF_KIND:
        raise ReceiptsError(f"{_PLACE}kind", f"must be one of {', '.join(_OF_KIND)}")
    _known(given, {"kind", *_OF_KIND[name]}, _PLACE)
    secret = _secret(given, "password" if name == "basic" else "secret", names)
    match name:
        case "path":
            return Authentication(Kind.PATH, secret)
        case "basic":
            return Authentication(Kind.BASIC, secret, _secret(given, "user", names, is_secret=False))
        case "header":
            return Authentication(Kind.HEADER, secret, header=_text(given, "header", _PLACE))
        case "twilio":
            return Authentication(
                Kind.HMAC, secret, header="X-Twilio-Signature", algorithm="sha1", encoding="base64",
                signed=Signed.URL_AND_FIELDS,
            )  # fmt: skip
        case "vonage":
            algorithm = _one_of(given, "algorithm", ALGORITHMS, "sha256")
            return Authentication(Kind.HMAC, secret, field="sig", algorithm=algorithm, signed=Signed.FIELDS)
    header, in_field = _text(given, "header", _PLACE, ""), _text(given, "field", _PLACE, "")
    if bool(header) == bool(in_field):
        raise ReceiptsError(f"{_PLACE}header", "or `field` says where the signature stands: one of them")
    return Authentication(
        Kind.HMAC,
        secret,
        header=header,
        field=in_field,
        prefix=_text(given, "prefix", _PLACE, ""),
        algorithm=_one_of(given, "algorithm", ALGORITHMS, "sha256"),
        encoding=_one_of(given, "encoding", ENCODINGS, "hex"),
        signed=_choice(given, "of", Signed, Signed.BODY, _PLACE),
    )


def _one_of(section: Mapping[str, Any], key: str, names: Collection[str], default: str) -> str:
    text = section.get(key, default)
    if text not in names:
        raise ReceiptsError(f"{_PLACE}{key}", f"must be one of {', '.join(names)}")
    return str(text)


def _secret(given: Mapping[str, Any], key: str, names: Collection[str], *, is_secret: bool = True) -> Template:
    """A secret itself must not stand in a profile."""
    try:
        parsed = template.parse(_text(given, key, _PLACE))
    except ValueError as error:
        if isinstance(error, ReceiptsError):
            raise
        raise ReceiptsError(f"{_PLACE}{key}", str(error)) from error
    slots = list(template.slots_in(parsed))
    if unknown := [slot.name for slot in slots if slot.name not in names]:
        raise ReceiptsError(f"{_PLACE}{key}", f"has {{{unknown[0]}}}, which the profile does not have")
    if is_secret and not slots:
        raise ReceiptsError(f"{_PLACE}{key}", "must name a secret of the profile, such as {receipts}")
    return parsed
