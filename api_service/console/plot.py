"""Bars as they are drawn: `plot.html` has them."""

from collections.abc import Sequence
from typing import Any

from shared.domain.bars import tops

_HEIGHT = 200
"""In units of its own; a bar is 10 wide."""


def of(bars: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """most: in one bar. bars: where the parts of each end, from the bottom."""
    most = max(map(sum, bars), default=0)
    heights = [tops(parts, most, _HEIGHT) if most else [0, 0] for parts in bars]
    return {"most": most, "height": _HEIGHT, "bars": heights}
