"""Where a Russian mobile number was issued: by which operator, in which time zone. Pure.

`phone_ranges.csv` beside this file has 957 ranges, one for each operator code and time zone: the largest one of the
public national numbering register (opendata.digital.gov.ru, 2026) that lies in that zone, with the operator as the
register calls it, in capitals. They hold a quarter of all numbers. Most codes have several operators and several zones,
so neither can be told from the three digits; and whoever moves, or takes their number to another operator, keeps it. So
all that is said here is a suggestion.
"""

import csv
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple


class Range(NamedTuple):
    """Consecutive phone numbers, `first` and `last` included."""

    operator_code: str
    timezone: str
    first: int
    last: int
    operator: str = ""

    @property
    def numbers(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a number may come from. zones, operators: by their part of the numbers that are known of, from 0 to 1, the
    largest first; more than one: it is ambiguous."""

    zones: Mapping[str, float]
    operators: Mapping[str, float]

    @property
    def zone(self) -> str | None:
        """None: there are several."""
        return next(iter(self.zones)) if len(self.zones) == 1 else None

    @property
    def operator(self) -> str | None:
        """None: there are several."""
        return next(iter(self.operators)) if len(self.operators) == 1 else None


def origin(phone: int) -> Origin | None:
    """By its range, where that is known, else by its code. None: no known range has that code.

    Takes a look into a table of some hundred rows, whatever the number.
    """
    plan = _plan()
    at = bisect_right(plan.firsts, phone) - 1
    if at >= 0 and phone <= plan.lasts[at]:
        return plan.origins[at]
    return plan.by_code.get(str(phone)[1:4]) if phone in _PHONES else None


_PHONES = range(70_000_000_000, 80_000_000_000)


@lru_cache(maxsize=1)
def ranges() -> tuple[Range, ...]:
    """All of the file, by code and zone; they do not overlap."""
    table = files("shared.domain").joinpath("phone_ranges.csv").read_text(encoding="utf-8")
    return tuple(
        Range(
            row["first_phone"][1:4], row["timezone"], int(row["first_phone"]), int(row["last_phone"]), row["operator"]
        )
        for row in csv.DictReader(table.splitlines())
    )


class _Plan(NamedTuple):
    """Ranges in the order of their numbers, and what a code says."""

    firsts: Sequence[int]
    lasts: Sequence[int]
    origins: Sequence[Origin]
    by_code: Mapping[str, Origin]


@lru_cache(maxsize=1)
def _plan() -> _Plan:
    ordered = sorted(ranges(), key=lambda range_: range_.first)
    of_codes: dict[str, list[Range]] = {}
    for one in ordered:
        of_codes.setdefault(one.operator_code, []).append(one)
    return _Plan(
        [one.first for one in ordered],
        [one.last for one in ordered],
        [_origin([one]) for one in ordered],
        {code: _origin(some) for code, some in of_codes.items()},
    )


def _origin(some: Sequence[Range]) -> Origin:
    total = sum(one.numbers for one in some)
    zones, operators = Counter[str](), Counter[str]()
    for one in some:
        zones[one.timezone] += one.numbers
        operators[one.operator] += one.numbers
    return Origin(
        {name: number / total for name, number in zones.most_common()},
        {name: number / total for name, number in operators.most_common()},
    )
