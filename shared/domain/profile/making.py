"""A message as a request: the templates of a profile, compiled. Pure.

What is the same for all messages is put together once.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from shared.domain.profile.provider import Fields, Provider
from shared.domain.profile.provider import Form as FormBody
from shared.domain.profile.provider import Json as JsonBody
from shared.domain.profile.template import OF_A_MESSAGE, SECONDS, Slot, Template, slots_in
from shared.domain.text.parts import GSM7


class Addressed(Protocol):
    """What a message brings along."""

    @property
    def id(self) -> int: ...

    @property
    def phone(self) -> int: ...

    @property
    def text(self) -> str: ...


class Outgoing(NamedTuple):
    """A message with all that a provider may be told of it. sender: None: none is named. validity: seconds for which it
    is worth delivering; None: nothing is said of that."""

    id: int
    phone: int
    text: str
    sender: str | None = None
    validity: int | None = None


class Written(NamedTuple):
    """A request. headers: lines. body: None: there is none."""

    url: str
    headers: list[str]
    body: bytes | None


Writer = Callable[[Addressed, str | None, int | None], str]
"""Of a message, a sender and a validity."""


class Form(NamedTuple):
    """How messages are written that have a sender or none, a validity or none. fixed_headers: None: each message has
    headers of its own. body: None: there is none."""

    url: Writer
    fixed_headers: list[str] | None
    headers: list[Writer]
    body: Writer | None


class Maker:
    """Makes requests for one provider."""

    def __init__(self, provider: Provider, secrets: Mapping[str, str], receipt_url: str | None = None) -> None:
        """secrets: by name. receipt_url: where receipts are to go; None: none are asked for."""
        request = provider.request
        self.method = request.method
        self.tells_validity = any(slot.name == "validity" for slot in slots_in(request))
        self._provider = provider
        self._known = {**provider.values, **secrets}
        if receipt_url is not None:
            self._known["receipt_url"] = receipt_url
        self.sender = provider.sender
        self._forms: list[Form | None] = [None] * 4

    def form(self, sender: str | None, validity: int | None) -> Form:
        """How messages are written that have these."""
        return self._forms[(sender is not None) + 2 * (validity is not None)] or self._make_form(sender, validity)

    def write(self, message: Outgoing) -> Written:
        """The request that hands a message over."""
        _, _, _, sender, validity = message
        form = self.form(sender, validity)
        headers = form.fixed_headers
        if headers is None:
            headers = [write(message, sender, validity) for write in form.headers]
        body = form.body(message, sender, validity).encode() if form.body else None
        return Written(form.url(message, sender, validity), headers, body)

    def _make_form(self, sender: str | None, validity: int | None) -> Form:
        there = {"sender": sender, "validity": validity, "receipt_url": self._known.get("receipt_url")}
        missing = {name for name, value in there.items() if value is None}
        request = self._provider.request
        in_url, plain = _Pen(self, _percent, missing), _Pen(self, str, missing)
        url = in_url.raw(request.url)
        query = in_url.fields(request.query)
        if query:
            url = [*url, "?", *query]
        lines = [[f"{name}: ", *plain.pieces(value)] for name, value in request.headers if plain.has_all(value)]
        if request.basic:
            pair = ":".join(_constant(plain.pieces(part)) for part in (request.basic.user, request.basic.password))
            lines.append([f"Authorization: Basic {b64encode(pair.encode()).decode()}"])
        body: _Pieces | None = None
        match request.body:
            case FormBody(fields):
                body = in_url.fields(fields)
                lines.append(["Content-Type: application/x-www-form-urlencoded"])
            case JsonBody(value):
                body = list(_Pen(self, _in_json, missing).document(value) or ["{}"])
                lines.append(["Content-Type: application/json"])
        is_fixed = all(isinstance(piece, str) for line in lines for piece in line)
        form = self._forms[(sender is not None) + 2 * (validity is not None)] = Form(
            _compiled(url),
            [_constant(line) for line in lines] if is_fixed else None,
            [] if is_fixed else [_compiled(line) for line in lines],
            _compiled(body) if body is not None else None,
        )
        return form

    def piece(self, slot: Slot, encode: "_Encode") -> "str | _Value":
        """What stands for a placeholder: a text where it is the same for all messages."""
        if slot.is_silent:
            return ""
        if slot.name not in OF_A_MESSAGE or slot.name == "receipt_url":
            return encode(self._known[slot.name])
        gsm7, other = (encode(name) for name in self._provider.alphabet or ("", ""))
        return {
            "id": _Value("message.id"),
            "phone": _Value("message.phone"),
            "text": _Value("message.text", encode),
            "sender": _Value("sender", encode),
            "alphabet": _Value("message.text", lambda text: gsm7 if GSM7.issuperset(text) else other),
            "validity": _Value("validity", self._validity(SECONDS[slot.unit])),
        }[slot.name]

    def _validity(self, unit: float) -> Callable[[int], int]:
        least, most = self._provider.limits.validity

        def within(validity: int) -> int:
            return max(1, int(min(max(validity, least), most) / unit))

        return within


class _Value(NamedTuple):
    """What differs from message to message. of: an expression of Python, one of those above. function: of it."""

    of: str
    function: Callable[[Any], object] | None = None


_Encode = Callable[[str], str]
_Pieces = list["str | _Value"]


class _Pen:
    """Writes templates where texts are encoded in one way. What names something that is missing is left out."""

    def __init__(self, maker: Maker, encode: _Encode, missing: set[str]) -> None:
        self._maker, self._encode, self._missing = maker, encode, missing

    def has_all(self, template: Template) -> bool:
        return not any(isinstance(part, Slot) and part.name in self._missing for part in template)

    def pieces(self, template: Template) -> _Pieces:
        return [self._encode(part) if isinstance(part, str) else self._of(part) for part in template]

    def raw(self, template: Template) -> _Pieces:
        """With its literal parts as they are."""
        return [part if isinstance(part, str) else self._of(part) for part in template]

    def fields(self, fields: Fields) -> _Pieces:
        pieces: _Pieces = []
        for name, template in fields:
            if self.has_all(template):
                pieces += ["&" if pieces else "", self._encode(name), "=", *self.pieces(template)]
        return pieces

    def document(self, value: Any) -> _Pieces | None:
        """In JSON; None where all that is in it is left out."""
        match value:
            case dict():
                members = ((json.dumps(name) + ": ", self.document(member)) for name, member in value.items())
                kept = [[name, *written] for name, written in members if written is not None]
                return _enclosed("{", kept, "}", value)
            case list():
                items = map(self.document, value)
                return _enclosed("[", [item for item in items if item is not None], "]", value)
            case tuple():
                if not self.has_all(value):
                    return None
                if len(value) == 1 and isinstance(value[0], Slot) and value[0].is_number:
                    return [self._of(value[0])]
                return ['"', *self.pieces(value), '"']
        return [json.dumps(value)]

    def _of(self, slot: Slot) -> "str | _Value":
        return self._maker.piece(slot, self._encode)


def _enclosed(opening: str, parts: list[_Pieces], closing: str, value: Any) -> _Pieces | None:
    if value and not parts:
        return None
    pieces: _Pieces = [opening]
    for number, part in enumerate(parts):
        pieces += [", " if number else "", *part]
    return [*pieces, closing]


def _compiled(pieces: _Pieces) -> Writer:
    """Puts texts and values together by an f-string, which takes a third of the time of whatever goes from piece to
    piece. Nothing of a profile stands in its source: only the expressions of `_Value`, and names for all the rest."""
    names: dict[str, object] = {"__builtins__": {}}
    source = ""
    for number, piece in enumerate(_joined(pieces)):
        name = f"x{number}"
        if isinstance(piece, str):
            names[name] = piece
            source += f"{{{name}}}"
        elif piece.function is None:
            source += f"{{{piece.of}}}"
        else:
            names[name] = piece.function
            source += f"{{{name}({piece.of})}}"
    compiled: Writer = eval(f'lambda message, sender, validity: f"{source}"', names)  # noqa: S307 - see above
    return compiled


def _joined(pieces: _Pieces) -> _Pieces:
    """With texts that stand beside each other as one."""
    joined: _Pieces = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def _constant(pieces: Iterable[object]) -> str:
    return "".join(map(str, pieces))


@lru_cache(maxsize=256)
def _in_json(text: str) -> str:
    """A mailing's text is the same for all its messages, and takes longer to quote than all the rest."""
    return _quoted(text)[1:-1]


_quoted = json.JSONEncoder(ensure_ascii=False).encode  # `dumps` makes one of these each time


@lru_cache(maxsize=256)
def _percent(text: str) -> str:
    return quote(text, safe="")
