"""What the texts of a template would be: made for some of those who would get them."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from api_service.mailings.findings import Personal, Wording
from shared.audience.surveying import Sampled
from shared.clock import ticks
from shared.domain.gates.gate import Case, Skip
from shared.domain.gates.order import OF_TEXTS, first_stop
from shared.domain.reason import Reason
from shared.domain.survey import Estimate, estimate
from shared.domain.text.fault import Fault
from shared.domain.text.parts import Parts, parts
from shared.domain.text.spelling import Culprit, culprits, is_avoidable, spelled
from shared.domain.text.template import compiled, render

SECONDS = 3.0
"""For so long texts are made at the most: a template may take a thousand steps."""

AT_A_TIME = 500
"""People whose attributes are held."""


def make_texts(connection: Connection, template: str, some: Sequence[Sampled], among: int) -> tuple[Wording, Personal]:
    """By the function that makes what is sent, through the gates that it passes. among: whom the sample stands for.

    The wording is that of the longest text, with what is wrong with the signs of the template itself.
    """
    ready = compiled(template)
    names: Collection[str] = () if isinstance(ready, Fault) else ready.names
    found = culprits(template)
    made = _Made(found if is_avoidable(found) else ())
    until = ticks() + SECONDS
    for values in _read(connection, [one.id for one in some], names):
        made.take(render(template, values), values)
        if ticks() > until:
            break
    return made.wording(template, found), made.told(names, among)


class _Made:
    """What became of some texts. advice: signs of the template that may be spelled otherwise."""

    def __init__(self, advice: Sequence[Culprit]) -> None:
        self._advice = advice
        self._known: Counter[str] = Counter()
        self._unmade: Counter[Reason] = Counter()
        self._counts: Counter[int] = Counter()
        self._better: Counter[int] = Counter()
        self._longest: Parts | None = None

    def take(self, made: Any, values: Mapping[str, Any]) -> None:
        self._known.update(values.keys())
        stop = first_stop(Case(None, None, made), OF_TEXTS)
        if isinstance(stop, Skip):
            self._unmade[stop.reason] += 1
            return
        takes = parts(made)
        self._counts[takes.count] += 1
        self._better[parts(spelled(made, self._advice)).count if self._advice else takes.count] += 1
        if self._longest is None or takes.count > self._longest.count:
            self._longest = takes

    def wording(self, template: str, found: Sequence[Culprit]) -> Wording:
        return Wording(self._longest or parts(template), found)

    def told(self, names: Collection[str], among: int) -> Personal:
        looked_at = self._unmade.total() + self._counts.total()
        total, better = self._sum(self._counts, looked_at, among), self._sum(self._better, looked_at, among)
        return Personal(
            looked_at=looked_at,
            names=sorted(names),
            unknown=sorted(name for name in names if not self._known[name]),
            unmade={reason: estimate(number, looked_at, among) for reason, number in self._unmade.items()},
            by_parts={count: estimate(number, looked_at, among) for count, number in sorted(self._counts.items())},
            total=total,
            better=better if better.number < total.number else None,
        )

    @staticmethod
    def _sum(counts: Counter[int], looked_at: int, among: int) -> Estimate:
        """Of the parts of all, with 1.96 deviations of a sample's mean."""
        number = sum(count * people for count, people in counts.items())
        if looked_at >= among:
            return Estimate(number)
        mean = number / looked_at
        squares = sum(count * count * people for count, people in counts.items()) / looked_at
        deviation = math.sqrt(max(0.0, squares - mean * mean) / looked_at)
        return Estimate(round(mean * among), math.ceil(1.96 * deviation * among))


def _read(connection: Connection, ids: Sequence[int], names: Collection[str]) -> Iterator[dict[str, Any]]:
    """Of each of them the attributes of these names."""
    for first in range(0, len(ids), AT_A_TIME):
        values = {"ids": ids[first : first + AT_A_TIME], "names": list(names)}
        yield from connection.scalars(_READ, values)


_READ = text("""
    select coalesce((select jsonb_object_agg(name, value) from jsonb_each(attributes) as a (name, value)
                     where name = any(cast(:names as text[]))), '{}')
    from unnest(cast(:ids as bigint[])) with ordinality as one (id, place)
    join clients on clients.id = one.id order by place
""")
