"""The body of an import, read by a thread while it comes: neither memory nor disk has to hold a file.

The loop puts in what arrives and stops listening to the client while enough waits for the thread. The thread waits for
the client only so long; `directory.importer.AT_A_TIME` says how many threads may do that.
"""

import io
import threading
from collections.abc import Callable
from typing import Any

from api_service.server.limits import AHEAD, MAX_CHUNK_LINE, MAX_TRAILER, UPLOAD_PATIENCE
from api_service.web.problems import BrokenOff, TooSlow
from api_service.web.upload import SLOWEST, TOO_SLOW
from shared import clock

MALFORMED = "The chunks of the body make no sense."


class FileStream(io.RawIOBase):
    """`wsgi.input`. Reading raises BrokenOff and TooSlow."""

    def __init__(self, receiver: Any, begin: Callable[[], None], go_on: Callable[[], None]) -> None:
        """receiver: waitress's, which takes the body out of its framing. begin: asks the client to send. go_on: has the
        loop listen again. Both are called by the thread that reads."""
        self._receiver, self._begin, self._go_on = receiver, begin, go_on
        receiver.buf = self
        self._changed = threading.Condition()
        self._pieces = bytearray()
        self._failure: str | None = None
        self._is_asked_for = self._is_full = False
        self._waited, self._moved = 0.0, 0  # seconds, bytes

    # ---------------------------------------------------------------- the loop

    def take(self, data: bytes) -> int:
        """How many of these bytes belong to the body."""
        taken: int = self._receiver.received(data)
        unfinished = max(len(getattr(self._receiver, "control_line", b"")) - MAX_CHUNK_LINE,
                         len(getattr(self._receiver, "trailer", b"")) - MAX_TRAILER)  # fmt: skip
        if self._receiver.error or unfinished > 0:
            self.fail(MALFORMED)
        elif self.is_complete:
            with self._changed:
                self._changed.notify()
        return taken

    def append(self, data: bytes) -> None:
        """For the receiver."""
        with self._changed:
            if not self.closed:
                self._pieces += data
            self._is_full = len(self._pieces) >= AHEAD
            self._changed.notify()

    def fail(self, reason: str) -> None:
        with self._changed:
            self._failure = self._failure or reason
            self._changed.notify()

    @property
    def has_room(self) -> bool:
        return not self._is_full and self._failure is None and not self.is_complete

    @property
    def is_complete(self) -> bool:
        return bool(self._receiver.completed)

    # ---------------------------------------------------------------- the thread

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._is_asked_for:
            self._is_asked_for = True
            self._begin()
        with self._changed:
            while not self._pieces:
                if self.is_complete:
                    return 0
                if self._failure is not None:
                    raise BrokenOff(self._failure)
                self._wait()
            size = min(len(buffer), len(self._pieces))
            buffer[:size] = self._pieces[:size]
            del self._pieces[:size]
            self._moved += size
            has_drained = self._is_full and len(self._pieces) < AHEAD // 2
            if has_drained:
                self._is_full = False
        if has_drained:
            self._go_on()
        return size

    def _wait(self) -> None:
        began = clock.ticks()
        patience = UPLOAD_PATIENCE + self._moved / SLOWEST - self._waited
        if patience <= 0 or not self._changed.wait(patience):
            raise TooSlow(TOO_SLOW)
        self._waited += clock.ticks() - began

    # ---------------------------------------------------------------- as waitress knows its buffers

    def getfile(self) -> "FileStream":
        return self

    def getbuf(self) -> "FileStream":
        return self

    def close(self) -> None:
        """The request is answered; what still comes is nobody's."""
        with self._changed:
            self._pieces.clear()
            super().close()
