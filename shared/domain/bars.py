"""The bars of a plot, whatever it is drawn with. Pure."""

from collections.abc import Sequence

LEAST = 2
"""What there is of a part is seen, however little it is."""


def tops(parts: Sequence[int], most: int, height: int) -> list[int]:
    """Where each part of a bar ends, from the bottom. most: the value that fills the height."""
    found: list[int] = []
    below = total = 0
    for part in parts:
        total += part
        below = max(below + LEAST, height * total // most) if part > 0 else below
        found.append(min(below, height))
    return found
