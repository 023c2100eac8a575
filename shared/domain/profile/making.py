"""A message as a request: the templates of a profile, compiled. Pure.

What is the same for all messages is put together once, as a text with a `%s` for each of the rest.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from urllib.parse import quote

from shared.domain.profile.gsm7 import is_gsm7
from shared.domain.profile.provider import Fields, Form, Json, Provider
from shared.domain.profile.template import OF_A_MESSAGE, SECONDS, Slot, Template, slots_in


class Outgoing(NamedTuple):
    """A message as a provider is given it. sender: None: none is named. validity: seconds for which it is worth
    delivering; None: nothing is said of that."""

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
        self._forms: dict[tuple[bool, bool], _Form] = {}

    def write(self, message: Outgoing) -> Written:
        """The request that hands a message over."""
        has = message.sender is not None, message.validity is not None
        form = self._forms.get(has)
        if form is None:
            form = self._forms[has] = self._form(*has)
        body = form.body
        return Written(
            form.url(message),
            form.fixed_headers if form.headers is None else [header(message) for header in form.headers],
            body(message).encode() if body else None,
        )

    def _form(self, has_sender: bool, has_validity: bool) -> "_Form":
        """How messages are written that have these."""
        missing = set() if has_sender else {"sender"}
        missing |= set() if has_validity else {"validity"}
        missing |= set() if "receipt_url" in self._known else {"receipt_url"}
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
            case Form(fields):
                body = in_url.fields(fields)
                lines.append(["Content-Type: application/x-www-form-urlencoded"])
            case Json(value):
                body = list(_Pen(self, _in_json, missing).document(value) or ["{}"])
                lines.append(["Content-Type: application/json"])
        headers = [_writer(line) for line in lines]
        is_fixed = all(isinstance(piece, str) for line in lines for piece in line)
        return _Form(
            _writer(url),
            None if is_fixed else headers,
            [_constant(line) for line in lines] if is_fixed else [],
            _writer(body) if body is not None else None,
        )

    def piece(self, slot: Slot, encode: "_Encode") -> "str | _Get":
        """What stands for a placeholder: a text where it is the same for all messages."""
        if slot.name not in OF_A_MESSAGE or slot.name == "receipt_url":
            return encode(self._known[slot.name])
        gsm7, other = (encode(name) for name in self._provider.alphabet or ("", ""))
        getters: dict[str, _Get] = {
            "id": attrgetter("id"),
            "phone": attrgetter("phone"),
            "text": lambda message: encode(message.text),
            "sender": lambda message: encode(message.sender or ""),
            "alphabet": lambda message: gsm7 if is_gsm7(message.text) else other,
            "validity": self._validity(SECONDS[slot.unit]),
        }
        return getters[slot.name]

    def _validity(self, unit: float) -> "_Get":
        least, most = self._provider.limits.validity

        def validity(message: Outgoing) -> int:
            seconds = min(max(message.validity or 0, least), most)
            return max(1, int(seconds / unit))

        return validity


_Get = Callable[[Outgoing], str | int]
_Encode = Callable[[str], str]
_Pieces = list["str | _Get"]


class _Form(NamedTuple):
    """headers: None: they are the same for all messages, `fixed_headers`."""

    url: Callable[[Outgoing], str]
    headers: list[Callable[[Outgoing], str]] | None
    fixed_headers: list[str]
    body: Callable[[Outgoing], str] | None


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

    def _of(self, slot: Slot) -> "str | _Get":
        return self._maker.piece(slot, self._encode)


def _enclosed(opening: str, parts: list[_Pieces], closing: str, value: Any) -> _Pieces | None:
    if value and not parts:
        return None
    pieces: _Pieces = [opening]
    for number, part in enumerate(parts):
        pieces += [", " if number else "", *part]
    return [*pieces, closing]


def _writer(pieces: _Pieces) -> Callable[[Outgoing], str]:
    getters = tuple(piece for piece in pieces if not isinstance(piece, str))
    if not getters:
        constant = _constant(pieces)
        return lambda _: constant
    form = "".join(piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces)
    if len(getters) == 1:
        (get,) = getters
        return lambda message: form % get(message)
    return lambda message: form % tuple([get(message) for get in getters])


def _constant(pieces: Iterable[object]) -> str:
    return "".join(map(str, pieces))


@lru_cache(maxsize=256)
def _in_json(text: str) -> str:
    """A mailing's text is the same for all its messages, and takes longer to quote than all the rest."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


@lru_cache(maxsize=256)
def _percent(text: str) -> str:
    return quote(text, safe="")
