"""Segments: filters that bear a name and may be named by others. Pure.

A filter is spelled out where it is used: each segment that it names, and each that those name, as often as it is named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from shared.domain.filter import Filter

MAX_NAMED = 100
"""Segments in one list."""

MAX_SPELLED_OUT = 500
"""Filters that one is spelled out to, itself included."""

MAX_DEPTH = 10
"""Segments that name each other in a row."""

Graph = Mapping[int, Iterable[int]]
"""The ids that a segment names, by its own; it names nothing where it is left out."""


@dataclass(frozen=True)
class Segment:
    """As it was at some moment. revision: counts its changes until then."""

    id: int
    name: str
    revision: int
    filter: Filter

    @classmethod
    def of_json(cls, members: Mapping[str, Any]) -> Self:
        return cls(**{**members, "filter": Filter.of_json(members["filter"])})

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "revision": self.revision, "filter": self.filter.as_json()}


@dataclass(frozen=True)
class Audience:
    """A filter with all segments that it is made of."""

    filter: Filter
    segments: Mapping[int, Filter]

    @classmethod
    def of(cls, filter_: Filter, segments: Iterable[Segment]) -> Self:
        return cls(filter_, {one.id: one.filter for one in segments})

    @property
    def filters(self) -> Sequence[Filter]:
        return [self.filter, *self.segments.values()]

    @property
    def imports(self) -> frozenset[int]:
        """Those that any of its filters names."""
        return frozenset().union(*(one.named_imports for one in self.filters))

    @property
    def mailings(self) -> frozenset[int]:
        return frozenset().union(*(one.named_mailings for one in self.filters))


def circle(graph: Graph, start: int) -> Sequence[int] | None:
    """The shortest way from a segment back to itself, which it begins and ends with. None: there is none."""
    before: dict[int, int] = {}
    line = [start]
    for one in line:
        for named in graph.get(one, ()):
            if named == start:
                way = [start, one]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if named not in before:
                before[named] = one
                line.append(named)
    return None


def fault(graph: Graph, named: Iterable[int]) -> str | None:
    """What is wrong with a filter that names these segments, which lead to no circle. None: nothing."""
    sizes: dict[int, tuple[int, int]] = {}
    size, depth = _measured(graph, named, sizes)
    if depth > MAX_DEPTH:
        return f"Segments name each other {depth} deep; more than {MAX_DEPTH} are not taken."
    if size > MAX_SPELLED_OUT:
        return f"With all segments that these name, it is more than {MAX_SPELLED_OUT} filters."
    return None


def _measured(graph: Graph, named: Iterable[int], known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many filters it is spelled out to, itself included, and how deep segments name each other in it."""
    size, depth = 1, 0
    for one in named:
        if one not in known:
            known[one] = _measured(graph, graph.get(one, ()), known)
        size += known[one][0]
        depth = max(depth, known[one][1] + 1)
    return size, depth


def namers(graph: Graph, segment_id: int) -> frozenset[int]:
    """Those that name a segment, or one that does."""
    above: dict[int, list[int]] = {}
    for one, named in graph.items():
        for each in named:
            above.setdefault(each, []).append(one)
    found: set[int] = set()
    line = [segment_id]
    while line:
        new = set(above.get(line.pop(), ())) - found
        found |= new
        line.extend(new)
    return frozenset(found)
