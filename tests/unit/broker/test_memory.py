"""What `dispatcher_service.sending.memory` asks of the C library, seen in the C library."""

import ctypes
import subprocess
import sys

import pytest

from dispatcher_service.sending.memory import MANY

BLOCKS = 100
_ALLOCATE = f"""
import ctypes, sys
from dispatcher_service.sending import memory

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks a b c d e f".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2
libc.malloc.restype = ctypes.c_void_p
memory.spare(int(sys.argv[1]))
before = libc.mallinfo2().hblks
blocks = [libc.malloc(64 * 1024) for _ in range({BLOCKS})]
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc 2.33 or later what it did")
@pytest.mark.parametrize(("concurrency", "are_mapped"), [(MANY, False), (MANY + 1, True)])
def test_buffers_of_many_calls_have_mappings_of_their_own(concurrency: int, are_mapped: bool) -> None:
    command = [sys.executable, "-c", _ALLOCATE, str(concurrency)]
    mapped = int(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    assert (mapped > 0.9 * BLOCKS) is are_mapped  # the heap may have had room for some
