"""The lists of a filter in a form: as they stand in its fields, and as the API takes them.

Values stand between commas. One that has a comma in it, or is empty, stands in quotation marks, as in a table.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from werkzeug.datastructures import MultiDict

from api_service.console.forms import whole
from api_service.console.sentences import flat
from shared.domain.attributes import Value
from shared.domain.filter import Criteria, Filter, ValuesByName, values_of

EXCLUDED = "exclude_"
"""So begin the names of fields that say who is left out."""

_NAMES, _VALUES = "attribute_names", "attribute_values"
"""Of fields that come in pairs."""

_VALUE = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|$)')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Lists:
    """Of a filter, or of what it excludes. attributes: names, each with its values. segments: that are ticked or
    typed."""

    tags: str = ""
    operator_codes: str = ""
    timezones: str = ""
    attributes: Sequence[tuple[str, str]] = ()
    segments: Sequence[int | str] = ()
    imports: str = ""
    mailings: str = ""

    @staticmethod
    def sent(form: "MultiDict[str, str]", prefix: str = "") -> "Lists":
        pairs = zip(*(map(str.strip, form.getlist(prefix + name)) for name in (_NAMES, _VALUES)), strict=False)
        return Lists(
            attributes=tuple((name, values) for name, values in pairs if name or values),
            segments=tuple(one for line in form.getlist(f"{prefix}segments") for one in _ids(line)),
            **{name: form.get(prefix + name, "").strip() for name in _READ},
        )

    @staticmethod
    def of(known: Criteria) -> "Lists":
        lines = {name: _line(getattr(known, name, ())) for name in _READ}
        return Lists(attributes=_conditions(known.attributes), segments=tuple(known.segments), **lines)

    def body(self, known: Criteria) -> dict[str, Any]:
        """known: what was there before. A line that stands as it is shown stays what it is: not everything that the API
        takes can be written in a form."""
        shown, kept = Lists.of(known), known.as_json()
        lines = {
            name: kept.get(name, []) if getattr(self, name) == getattr(shown, name) else read(getattr(self, name))
            for name, read in _READ.items()
            if hasattr(known, name)
        }
        return lines | {"attributes": _attributes(self.attributes, known.attributes), "segments": list(self.segments)}


PLACES = tuple(prefix + one.name for prefix in ("", EXCLUDED) for one in fields(Lists))
"""Where something may be wrong."""


def body(chosen: Lists, excluded: Lists, known: Filter) -> dict[str, Any]:
    """A filter as the API takes it. known: that was there before."""
    return chosen.body(known) | {"exclude": excluded.body(known.exclude)}


def by_field(
    errors: Mapping[str, Any], places: Collection[str], elsewhere: str, prefix: str = ""
) -> dict[str, list[str]]:
    """What is wrong, as the schema says it of a thing with a filter: of a member of the filter under its own name, of a
    list as a whole. elsewhere: the place of what is in none of them."""
    found: dict[str, list[str]] = {}
    for name, said in errors.items():
        if name in ("filter", "exclude") and isinstance(said, Mapping):
            found |= by_field(said, places, elsewhere, EXCLUDED if name == "exclude" else "")
        else:
            own = prefix + name
            found.setdefault(own if own in places else elsewhere, []).extend(flat(said))
    return found


def _attributes(pairs: Iterable[tuple[str, str]], known: ValuesByName) -> dict[str, list[Value]]:
    """Values by name. A name that stands twice gets a blank, so that the API finds it and says so."""
    shown, kept = dict(_conditions(known)), values_of(known)
    found: dict[str, list[Value]] = {}
    for name, line in pairs:
        is_kept = shown.get(name) == line
        while name in found:
            name += " "  # noqa: PLW2901
        found[name] = kept[name] if is_kept else [meant for one in _several(line) for meant in _meant(one)]
    return found


def _meant(value: str) -> list[Value]:
    """Files bring strings, programs also numbers, true and false: people see no difference."""
    is_more = value in ("true", "false") or _NUMBER.fullmatch(value)
    return [value, json.loads(value)] if is_more else [value]


def _conditions(known: ValuesByName) -> tuple[tuple[str, str], ...]:
    return tuple((name, _line(map(_shown, some))) for name, some in values_of(known).items())


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _line(values: Iterable[object]) -> str:
    return ", ".join(map(_quoted, dict.fromkeys(map(str, values))))


def _quoted(value: str) -> str:
    needs_marks = not value or "," in value or value.startswith('"')
    return '"{}"'.format(value.replace('"', '""')) if needs_marks else value


def _several(line: str) -> list[str]:
    found = []
    for one in _VALUE.finditer(line):
        if one[1] is not None:
            found.append(one[1].replace('""', '"'))
        elif plain := one[2].strip():
            found.append(plain)
    return found


def _ids(line: str) -> list[int | str]:
    return [whole(one) for one in _several(line)]


_READ: Mapping[str, Callable[[str], Sequence[int | str]]] = {
    "tags": _several,
    "operator_codes": _several,
    "timezones": _several,
    "imports": _ids,
    "mailings": _ids,
}
"""Lists that are a line in the form."""
