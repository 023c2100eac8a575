"""Where the processes of one API service share their metrics."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "notification-api-"
_GRACE = 60.0  # seconds


@contextmanager
def metrics_directory() -> Iterator[Path]:
    """A new one, locked as long as a process of the service lives. Those of services that were killed are removed."""
    owner = os.getpid()
    _remove_abandoned()
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{owner}-"))
    lock = os.open(directory, os.O_RDONLY)  # the workers inherit it
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield directory
    finally:
        if os.getpid() == owner:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is in use, somebody else's, or gone
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # One that is empty may have been made this very moment, and is not locked yet.
                if any(directory.iterdir()) or time.time() - directory.stat().st_mtime > _GRACE:
                    shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
