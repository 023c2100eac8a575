"""The figures as lines of text."""

from collections.abc import Iterator, Sequence

from benchmarks.figure import Figure, Report

_NAME, _VALUE, _RANGE = 58, 12, 21


def lines(report: Report) -> Iterator[str]:
    yield report.title
    for figure in report.figures:
        spread = f"({number(figure.spread[0])} to {number(figure.spread[1])})" if figure.spread else ""
        line = f"  {figure.name:<{_NAME}} {number(figure.value):>{_VALUE}} {figure.unit:<4}{spread:<{_RANGE}}"
        yield f"{line} {_asked(figure)}".rstrip()


def verdict(reports: Sequence[Report]) -> str:
    asked = [figure for report in reports for figure in report.figures if figure.passes is not None]
    missed = [figure.name for figure in asked if not figure.passes]
    kept = f"{len(asked) - len(missed)} of {len(asked)} floors kept"
    return kept + ("." if not missed else "; missed: " + "; ".join(missed) + ".")


def number(value: float) -> str:
    """As people read it, with three digits that mean something: `12 500`, `3.14`."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def _asked(figure: Figure) -> str:
    if figure.passes is None:
        return ""
    bounds = [f"≥ {number(figure.least)}"] if figure.least is not None else []
    bounds += [f"≤ {number(figure.most)}"] if figure.most is not None else []
    return f"{' and '.join(bounds):<10} {'ok' if figure.passes else 'MISSED'}"
