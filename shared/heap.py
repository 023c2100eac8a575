"""The heap of the C library, kept small. Nothing is done where the library is not glibc, whose options these are
(mallopt(3))."""

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h


def use_one() -> None:
    """One heap for all threads, to be called before they begin. By default each soon has one of its own, which keeps
    what the largest thing took that it has ever made: with an export 20 MB of each. They hardly ever wait for each
    other, since the interpreter runs one at a time."""
    _set(_M_ARENA_MAX, 1)


def map_blocks(least: int) -> None:
    """Blocks of so many bytes and more are mappings of their own."""
    _set(_M_MMAP_THRESHOLD, least)


def _set(option: int, value: int) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(option, value)
