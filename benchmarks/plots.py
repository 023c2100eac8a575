"""The figures as SVG, readable on light and dark pages."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from benchmarks.figure import Bars, Lines, Report
from benchmarks.table import number

_COLOURS = ("#3b7dd8", "#e08a1e", "#3f9c5a", "#b04ca8", "#7a6a58", "#c94a4a")
_INK = "#777"
_WIDTH = 720
_LEFT, _RIGHT, _TOP = 210, 90, 56
_ROW = 30


def write(directory: Path, reports: Sequence[Report]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for plot in (plot for report in reports for plot in report.plots):
        drawn = _bars(plot) if isinstance(plot, Bars) else _lines(plot)
        (directory / f"{plot.name}.svg").write_text("\n".join(drawn) + "\n", encoding="utf-8")


def _bars(plot: Bars) -> Iterator[str]:
    parts = list(dict.fromkeys(part for bar in plot.bars.values() for part in bar))
    colours = dict(zip(parts, _COLOURS, strict=False))
    scale = (_WIDTH - _LEFT - _RIGHT) / max(sum(bar.values()) for bar in plot.bars.values())
    yield _head(_TOP + _ROW * len(plot.bars) + 12)
    yield _text(16, 24, f"{plot.title} ({plot.unit})", bold=True)
    yield from _legend(colours if any(parts) else {})
    for row, (label, bar) in enumerate(plot.bars.items()):
        x, y = float(_LEFT), _TOP + row * _ROW
        yield _text(_LEFT - 10, y + 16, label, anchor="end")
        for part, value in bar.items():
            yield f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="22" fill="{colours[part]}"/>'
            x += value * scale
        yield _text(x + 6, y + 16, number(sum(bar.values())))
    yield "</svg>"


def _lines(plot: Lines) -> Iterator[str]:
    left, right, top, height = 70, 20, _TOP, 220
    points = [point for line in plot.lines.values() for point in line]
    x_most, y_most = max(x for x, _ in points) or 1, max(y for _, y in points) * 1.1 or 1
    colours = dict(zip(plot.lines, _COLOURS, strict=False))

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / x_most * (_WIDTH - left - right), top + height - y / y_most * height

    yield _head(top + height + 50)
    yield _text(16, 24, f"{plot.title} ({plot.y})", bold=True)
    yield from _legend(colours)
    for quarter in range(5):
        value = y_most * quarter / 4
        _, y = place(0, value)
        rule = f'<line x1="{left}" y1="{y:.1f}" x2="{_WIDTH - right}" y2="{y:.1f}"'
        yield f'{rule} stroke="{_INK}" stroke-opacity="0.25"/>'
        yield _text(left - 8, y + 4, number(value), anchor="end")
        yield _text(place(x_most * quarter / 4, 0)[0], top + height + 18, number(x_most * quarter / 4), anchor="middle")
    yield _text((left + _WIDTH - right) / 2, top + height + 38, plot.x, anchor="middle")
    for label, line in plot.lines.items():
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        yield f'<polyline points="{path}" fill="none" stroke="{colours[label]}" stroke-width="2"/>'
    yield "</svg>"


def _legend(colours: dict[str, str]) -> Iterator[str]:
    x = 16.0
    for label, colour in colours.items():
        yield f'<rect x="{x:.0f}" y="34" width="11" height="11" fill="{colour}"/>'
        yield _text(x + 16, 44, label)
        x += 34 + 7 * len(label)


def _head(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="system-ui, sans-serif" font-size="13">'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}"{weight}>{escape(text)}</text>'
