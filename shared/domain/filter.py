"""Whom a mailing is for, and who is in a segment. Pure.

Whoever matches every list of a filter is chosen, an empty list matching everybody, unless they match any list of those
that it excludes. So one list more never chooses more, and one that is excluded never lets anybody in.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from shared.domain.attributes import Value

ValuesByName = tuple[tuple[str, tuple[str, ...]], ...]
"""Sorted. Values as JSON writes them: to Python 1 is true, and here it is not."""


@dataclass(frozen=True)
class Criteria:
    """Lists that a client matches or not. Sorted, nothing twice.

    attributes: those match who have one of the values of each name. segments, imports: ids; those match who are in one
    of these segments, and whom one of these imports took.
    """

    operator_codes: Iterable[str] = ()
    tags: Iterable[str] = ()
    imports: Iterable[int] = ()
    timezones: Iterable[str] = ()
    attributes: ValuesByName = ()
    segments: Iterable[int] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not isinstance(value, Criteria):
                object.__setattr__(self, one.name, tuple(sorted(set(value))))

    @classmethod
    def of_json(cls, members: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(**{**members, "attributes": by_name(members.get("attributes", {}))})

    def as_json(self) -> dict[str, Any]:
        """As it is stored: without the lists that are empty."""
        lists = {one.name: list(getattr(self, one.name)) for one in fields(Criteria)}
        return {name: value for name, value in {**lists, "attributes": values_of(self.attributes)}.items() if value}


@dataclass(frozen=True)
class Exclusion(Criteria):
    """Those are left out who match any of the lists. mailings: ids; who got one of these, or may have, or will."""

    mailings: Iterable[int] = ()

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | ({"mailings": list(self.mailings)} if self.mailings else {})


@dataclass(frozen=True)
class Filter(Criteria):
    exclude: Exclusion = field(default_factory=Exclusion)

    @classmethod
    def of_json(cls, members: Mapping[str, Any]) -> Self:
        return super().of_json({**members, "exclude": Exclusion.of_json(members.get("exclude", {}))})

    def as_json(self) -> dict[str, Any]:
        excluded = self.exclude.as_json()
        return super().as_json() | ({"exclude": excluded} if excluded else {})

    @property
    def named_segments(self) -> tuple[int, ...]:
        """Twice, where it is in both lists."""
        return (*self.segments, *self.exclude.segments)

    @property
    def named_imports(self) -> frozenset[int]:
        return frozenset(self.imports) | frozenset(self.exclude.imports)

    @property
    def named_mailings(self) -> frozenset[int]:
        return frozenset(self.exclude.mailings)


def by_name(values: Mapping[str, Iterable[Value]]) -> ValuesByName:
    """Numbers that are equal are one value, as they are to PostgreSQL."""
    return tuple(sorted((name, tuple(sorted({_written(one) for one in some}))) for name, some in values.items()))


def values_of(attributes: ValuesByName) -> dict[str, list[Value]]:
    return {name: [json.loads(one) for one in some] for name, some in attributes}


def _written(value: Value) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
