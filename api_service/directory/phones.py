"""A set of phones in about two bytes each, whatever their order. Pure."""

from array import array
from bisect import bisect_left
from typing import TypeAlias

_BITS = 16
_DENSE = 4096
"""From so many on a bitmap of its 2^16 takes less room."""

_Chunk: TypeAlias = "array[int] | bytearray"


class Phones:
    """Chunks of 2^16 numbers: what is left of a number in its chunk, in order, and a bitmap where there are many."""

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}

    def add(self, phone: int) -> bool:
        """Whether it is new."""
        number, rest = phone >> _BITS, phone & (1 << _BITS) - 1
        chunk = self._chunks.get(number)
        if isinstance(chunk, bytearray):
            return _mark(chunk, rest)
        if chunk is None:
            chunk = self._chunks[number] = array("H")
        place = bisect_left(chunk, rest)
        if place < len(chunk) and chunk[place] == rest:
            return False
        chunk.insert(place, rest)
        if len(chunk) > _DENSE:
            bitmap = self._chunks[number] = bytearray((1 << _BITS) // 8)
            for one in chunk:
                _mark(bitmap, one)
        return True


def _mark(bitmap: bytearray, rest: int) -> bool:
    place, bit = rest >> 3, 1 << (rest & 7)
    if bitmap[place] & bit:
        return False
    bitmap[place] |= bit
    return True
