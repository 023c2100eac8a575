"""What a benchmark says: figures, with the floor or the cap that each has to keep, and what is drawn of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """least, most: what it has to keep; None for a figure that is only reported. spread: the smallest and the largest
    of the repetitions for which `value` stands."""

    name: str
    value: float
    unit: str = ""
    least: float | None = None
    most: float | None = None
    spread: tuple[float, float] | None = None

    @property
    def passes(self) -> bool | None:
        """None: nothing is asked of it."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


def median_of(name: str, values: Sequence[float], unit: str, least: float | None = None) -> Figure:
    return Figure(name, median(values), unit, least=least, spread=(min(values), max(values)))


def together(figures: Sequence[Figure]) -> Figure:
    """One figure for several repetitions of it: the median, or the largest where each has to stay below a cap."""
    one, values = figures[0], [figure.value for figure in figures]
    return replace(median_of(one.name, values, one.unit, one.least), most=one.most,
                   value=median(values) if one.most is None else max(values))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each label, made of parts."""

    name: str
    title: str
    unit: str
    bars: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Lines:
    """A line of (x, y) for each label."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    figures: Sequence[Figure]
    plots: Sequence[Bars | Lines] = field(default=())
