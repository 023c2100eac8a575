"""The plot of a letter: bars, as a PNG of our own making.

Programs that show mail show PNG, and hardly any of them SVG. The words stand beside it, in the letter itself.
"""

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

from shared.domain.bars import tops as tops_of

WIDTH, HEIGHT = 1248, 240  # twice as many pixels as it is shown with, for screens that have them
_GAP = 6
_GROUND, _LINE = (255, 255, 255), (225, 230, 237)

Colour = tuple[int, int, int]


def bars(values: Sequence[Sequence[int]], colours: Sequence[Colour]) -> bytes:
    """A bar for each of the values, made of parts from the bottom up; the highest one fills the plot.

    colours: one for each part.
    """
    most = max((sum(parts) for parts in values), default=0)
    edges = [WIDTH * number // max(1, len(values)) for number in range(len(values) + 1)]
    tops = [tops_of(parts, most, HEIGHT) for parts in values]
    rows = []
    for height in range(HEIGHT, 0, -1):  # from the top down
        row = bytearray()
        for (left, right), heights in zip(pairwise(edges), tops, strict=True):
            ground = _LINE if height == 1 or height % (HEIGHT // 4) == 0 else _GROUND
            colour = next((colours[place] for place, top in enumerate(heights) if height <= top), ground)
            row += bytes(colour) * (right - left - _GAP) + bytes(ground) * _GAP
        rows.append(b"\0" + bytes(row or bytes(_GROUND) * WIDTH))
    return _png(b"".join(rows))


def _png(rows: bytes) -> bytes:
    """rows: of RGB, each behind its filter (https://www.w3.org/TR/png-3/)."""
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
