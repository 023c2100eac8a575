"""A filter in words: for each list what it is about, and its values, some of which lead somewhere."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from api_service.console.language import gettext as _
from shared.domain.attributes import Value
from shared.domain.filter import Criteria, Filter, values_of

Each = TypeVar("Each")

_SHOWN = 20
"""Values of a list."""


@dataclass(frozen=True, slots=True)
class Word:
    """path: below /console, of the page about it; empty: there is none. is_given: it is somebody's own word."""

    text: str
    path: str = ""
    is_given: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """Those are meant of whom one of the words is true. more: words that are not shown."""

    about: str
    words: Sequence[Word]
    more: int


def chosen(wanted: Filter, segments: Mapping[int, str]) -> list[Line]:
    """Whoever matches all of these. segments: names by id."""
    return _lines(wanted, segments)


def excluded(wanted: Filter, segments: Mapping[int, str]) -> list[Line]:
    """But nobody who matches any of these."""
    mailings = _line(_("mailing that they got"), wanted.exclude.mailings, _mailing)
    return [*_lines(wanted.exclude, segments), *mailings]


def _lines(of: Criteria, segments: Mapping[int, str]) -> list[Line]:
    def segment(one: int) -> Word:
        return Word(segments.get(one) or str(one), f"/segments/{one}/")

    return [
        *_line(_("tag"), of.tags, lambda one: Word(one) if one else Word(_("none"), is_given=False)),
        *_line(_("operator code"), of.operator_codes, lambda one: Word(one, is_given=False)),
        *_line(_("time zone"), of.timezones, lambda one: Word(one, is_given=False)),
        *(line for name, some in values_of(of.attributes).items() for line in _line(name, some, _value)),
        *_line(_("segment"), of.segments, segment),
        *_line(_("file that they came with"), of.imports, _import),
    ]


def _line(about: str, values: Iterable[Each], word: Callable[[Each], Word]) -> list[Line]:
    """None where the list is empty: it says nothing."""
    some = list(values)
    return [Line(about, [word(one) for one in some[:_SHOWN]], max(0, len(some) - _SHOWN))] if some else []


def _value(value: Value) -> Word:
    if isinstance(value, bool):
        return Word(_("yes") if value else _("no"), is_given=False)
    return Word(str(value), is_given=isinstance(value, str))


def _import(one: int) -> Word:
    return Word(str(one), f"/imports/{one}/", is_given=False)


def _mailing(one: int) -> Word:
    return Word(str(one), f"/mailings/{one}/", is_given=False)
