"""How a request of a profile is made, as its document says it. Pure."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from shared.domain.hosts import is_near
from shared.domain.profile.provider import Basic, Fields, Form, Json, Request
from shared.domain.profile.section import Section, boolean, choice
from shared.domain.profile.section import text as any_text
from shared.domain.profile.template import OPTIONAL, Template, parse, slots_in

METHODS = ("GET", "POST", "PUT")

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS = ("content-length", "content-type", "transfer-encoding", "host", "connection", "expect")
_DEEPEST = 10
_NOTHING: Template = ()


def read_request(section: Section, values: Mapping[str, str], alphabet: tuple[str, str] | None) -> Request:
    """values, alphabet: of the profile; its address and its headers may name them."""
    known = {**{name: (value,) for name, value in values.items()}, "alphabet": alphabet or ()}
    url = section.take("url", _template, _NOTHING)
    plaintext = section.take("plaintext", boolean, False)
    if "url" not in section:
        section.fault("must be the provider's address", "url")
    elif url:
        section.faults.parsed(
            (*section.key, "url"), lambda url: _look_at_address(url, values, plaintext=plaintext), url
        )
    has_body = "form" in section or "json" in section
    if "form" in section and "json" in section:
        section.fault("may not stand beside form", "json")
    method = section.take("method", choice(METHODS), "POST" if has_body else "GET")
    if method == "GET" and has_body:
        section.fault("has no body, so form and json may not stand beside it", "method")
    form = _fields(section, "form") if "form" in section else None
    json = Json(_document(section, section.raw("json"), ("json",))) if "json" in section else None
    return Request(
        url,
        method,
        _fields(section, "query"),
        _fields(section, "headers", partial(_look_at_header, known)),
        _basic(section),
        json if form is None else Form(form),
    )


def _template(value: Any) -> Template:
    return parse(any_text(value))


def _fields(section: Section, name: str, look: Callable[[str, Template], None] | None = None) -> Fields:
    table, found = section.section(name), []
    for field in table.names:
        template = table.take(field, _template, _NOTHING)
        if look and template:
            table.faults.parsed((*table.key, field), partial(look, field), template)
        if any(slot.is_number for slot in slots_in(template)):
            table.fault("has :number, which makes a difference in json only", field)
        found.append((field, template))
    return tuple(found)


def _look_at_header(known: Mapping[str, Collection[str]], name: str, template: Template) -> None:
    """known: all that a placeholder may stand for, of those that stand for the same in many messages."""
    if not _HEADER.fullmatch(name):
        raise ValueError("is no name of a header")
    if name.lower() in _OURS:
        raise ValueError("is a header that is set by itself")
    for part in template:
        if isinstance(part, str):
            if not _fits_a_header(part):
                raise ValueError("must be printable ASCII")
        elif part.name in ("text", "sender"):
            raise ValueError(f"may not have {{{part.name}}}, which is not always ASCII")
        elif not all(map(_fits_a_header, known.get(part.name, ()))):
            raise ValueError(f"may not have {{{part.name}}}, which is not printable ASCII")


def _fits_a_header(written: str) -> bool:
    return written.isascii() and written.isprintable()


def _basic(section: Section) -> Basic | None:
    if "basic" not in section:
        return None
    table = section.section("basic")
    user, password = table.take("user", _template, _NOTHING), table.take("password", _template, _NOTHING)
    table.end()
    if not user or not password:
        table.fault("must have a user and a password")
    for slot in slots_in((user, password)):
        if slot.name in OPTIONAL or slot.name in ("id", "phone", "text", "alphabet"):
            table.fault(f"may not have {{{slot.name}}}, which each message has of its own")
    return Basic(user, password)


def _document(section: Section, value: Any, key: tuple[str | int, ...]) -> Any:
    """A body in JSON, its texts as templates."""
    if isinstance(value, dict | list) and len(key) > _DEEPEST:
        section.fault("is nested too deeply", *key)
    elif isinstance(value, dict):
        return {name: _document(section, member, (*key, name)) for name, member in value.items()}
    elif isinstance(value, list):
        return [_document(section, item, (*key, at)) for at, item in enumerate(value)]
    elif isinstance(value, str):
        return section.faults.parsed((*section.key, *key), _leaf, value)
    elif not isinstance(value, bool | int | float):
        section.fault("must be a text, a number, true, false, a list or a table", *key)
    return value


def _leaf(value: str) -> Template:
    template = parse(value)
    if len(template) > 1 and any(slot.is_number for slot in slots_in(template)):
        raise ValueError("has :number beside other things, which makes no number")
    return template


def _look_at_address(url: Template, values: Mapping[str, str], *, plaintext: bool) -> None:
    for slot in slots_in(url):
        if slot.name in OPTIONAL:
            raise ValueError(f"may not have {{{slot.name}}}, which not every message has")
    written = "".join(part if isinstance(part, str) else values.get(part.name, "x") for part in url)
    if not (written.isascii() and written.isprintable()) or " " in written:
        raise ValueError("must be ASCII without blanks: xn--… for a host, %… in a path")
    try:
        parts = urlsplit(written)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be of the form https://… or http://…")
    if parts.query or parts.fragment:
        raise ValueError("must end with a path; what stands behind ? is named in query")
    if parts.scheme == "http" and not plaintext and not is_near(host):
        raise ValueError(
            "must begin with https://, or everybody on the way to that host reads phones, texts and credentials:"
            " plaintext = true permits it"
        )
