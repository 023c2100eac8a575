"""What a process of the API does beside its requests, about every second, on a thread of its own."""

import atexit
import os
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from shared import logs
from shared.database.engine import first_line

_BEAT = 1.0  # seconds
_GRACE = 1.0  # seconds for a chore that is under way when the process ends

_log = logs.logger()

Chore = Callable[[], None]


class Chores:
    """They begin with the first request: threads do not survive the fork of a server's processes."""

    def __init__(self, chores: Sequence[Chore], last: Chore) -> None:
        """last: done when the process ends."""
        self._chores, self._last = chores, last
        self._lock = threading.Lock()
        self._begun_in: int | None = None
        self._ending = threading.Event()

    def begin(self) -> None:
        """Costs nothing when repeated."""
        if self._begun_in == os.getpid():
            return
        with self._lock:
            if self._begun_in == os.getpid():
                return
            self._begun_in = os.getpid()
        thread = threading.Thread(target=self._run, name="chores", daemon=True)
        thread.start()
        atexit.register(self._end, thread)

    def _run(self) -> None:
        while not self._ending.wait(_BEAT):
            for chore in self._chores:
                try:
                    chore()
                except SQLAlchemyError as error:
                    _log.warning("chore_failed", chore=chore.__qualname__, error=first_line(error))
                except Exception:
                    _log.exception("chore_failed", chore=chore.__qualname__)

    def _end(self, thread: threading.Thread) -> None:
        self._ending.set()
        thread.join(_GRACE)
        self._last()
