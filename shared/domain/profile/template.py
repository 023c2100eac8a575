"""Texts with placeholders: `+{phone}`, `{validity:minutes}`, `{token}`. Pure."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

OPTIONAL = frozenset({"sender", "validity", "receipt_url"})
"""Those that a message may have nothing for. A field that names one is left out then."""

OF_A_MESSAGE = frozenset({"id", "phone", "text", "alphabet"}) | OPTIONAL

SECONDS = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600}
"""Units that a validity may be told in."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")


class Slot(NamedTuple):
    """A placeholder. unit: of a validity. is_number: JSON gets a number, not a string. is_required: the provider takes
    no message without it. is_silent: it writes nothing, but a field that has it is left out where there is none."""

    name: str
    unit: str = "seconds"
    is_number: bool = False
    is_required: bool = False
    is_silent: bool = False


Template = tuple[str | Slot, ...]


def parse(text: str) -> Template:
    """The literal parts and the placeholders. Raises ValueError with a sentence."""
    return tuple(_parts(text))


def slots_in(value: Any) -> Iterator[Slot]:
    """The placeholders of a template, or of whatever has templates in it."""
    if isinstance(value, Slot):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            yield from slots_in(getattr(value, part.name))
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from slots_in(part)


def _parts(text: str) -> Iterator[str | Slot]:
    literal, at = "", 0
    for found in _TOKEN.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found[2]:
            raise ValueError(f"has a lone {found[2]}; a brace that is meant as such is written twice")
        if found[1] is None:
            literal += found[0][0]
            continue
        if literal:
            yield literal
            literal = ""
        yield _slot(found[1])
    if literal := literal + text[at:]:
        yield literal


def _slot(text: str) -> Slot:
    name, *marks = text.split(":")
    if not NAME.fullmatch(name):
        raise ValueError(f"has {{{text}}}, which is no placeholder")
    slot = Slot(name)
    for mark in marks:
        if mark == "number" and name in ("id", "phone", "validity"):
            slot = slot._replace(is_number=True)
        elif mark == "present" and name in OPTIONAL:
            slot = slot._replace(is_silent=True)
        elif mark == "required" and name == "sender":
            slot = slot._replace(is_required=True)
        elif mark in SECONDS and name == "validity":
            slot = slot._replace(unit=mark)
        else:
            raise ValueError(f"has {{{text}}}: {name} has no form {mark!r}")
    return slot
