"""Less memory for many calls in flight.

libcurl holds a buffer of 64 kB for every request that has a body, until the answer is there, and uses some hundred
bytes of it. On the heap, each also spoils the pages that it shares with its small neighbours: 16 kB per call. In a
mapping of its own it takes one page: 11 kB per call. To ask the kernel for that costs two microseconds per call, so it
pays only where many wait, and therefore few are made.
"""

from shared import heap

MANY = 1_000
"""Calls in flight, from which on memory counts for more than time."""

_LARGE = 32 * 1024  # bytes


def spare(concurrency: int) -> None:
    """To be called once, before the calls begin."""
    if concurrency > MANY:
        heap.map_blocks(_LARGE)
