"""The heap of the C library, kept small. Nothing is done where the library is not glibc, whose option this is
(mallopt(3))."""

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h


def map_blocks(least: int) -> None:
    """Blocks of so many bytes and more are mappings of their own, which go back to the system when they are freed. By
    default glibc takes them from the heap of their thread once one of their size was freed, and what the largest thing
    took that a thread has ever made stays there."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_THRESHOLD, least)
