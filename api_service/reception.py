"""Receiving requests without a thread: a slow client costs the service some memory and nothing else.

A request is handed to a thread when its head has arrived, and with it a body of the usual size. Longer bodies, and
those of unknown length, are read by the thread, so that they can be worked on while they come; `PatientSocket` limits
how long it waits for them, and for a client that does not take its answer.
"""

import errno
import re
import select
import socket
from typing import Any

from shared import clock

TIMEOUT = 10.0
"""Seconds from the first moment of a connection, or the first byte of a further request on it, to the whole request."""

MAX_HEAD = 32 * 1024
PATIENCE = 10.0
"""Seconds that a thread waits in all for a client to send, or to take, its bytes …"""
SLOWEST = 8 * 1024
"""… and for this many bytes a second more."""

_LITTLE = 64 * 1024  # bytes of an answer

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_NOT_TO_WAIT_FOR = re.compile(rb"\r\n(?:expect|transfer-encoding):", re.IGNORECASE)
_END = b"\r\n\r\n"


class Reception:
    """A request on its way in. `received`: what has come so far, and what may have come behind it."""

    def __init__(self, short: int) -> None:
        """short: bytes of a body that is waited for."""
        self.received = bytearray()
        self.deadline = clock.ticks() + TIMEOUT
        self._short = short
        self._wanted: int | None = None

    def add(self, data: bytes) -> None:
        searched = max(0, len(self.received) - len(_END) + 1)
        self.received += data
        if self._wanted is None and (end := self.received.find(_END, searched)) >= 0:
            head = bytes(self.received[: end + len(_END)])
            self._wanted = len(head) + self._body(head)

    @property
    def is_complete(self) -> bool:
        return self._wanted is not None and len(self.received) >= self._wanted

    @property
    def is_too_long(self) -> bool:
        return self._wanted is None and len(self.received) > MAX_HEAD

    def _body(self, head: bytes) -> int:
        """How much of the body to wait for: nothing where the client waits for us, and where there is no one length."""
        lengths = [int(length) for length in _LENGTH.findall(head)]
        if len(lengths) != 1 or lengths[0] > self._short or _NOT_TO_WAIT_FOR.search(head):
            return 0
        return lengths[0]


class TooSlow(ConnectionResetError):
    """As if the client had gone."""


class PatientSocket(socket.socket):
    """The connection to a client, as threads use it: they do not wait for him without end. Raises TooSlow.

    The kernel is never asked to wait: a thread polls, and only where there is nothing to do yet. A time-out that Python
    keeps would be set anew for every call, and each of these system calls lets another thread have the interpreter.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        super().setblocking(False)
        self._timeout: float | None = None
        self._unsent = bytearray()
        self.be_patient()

    def be_patient(self, seconds: float = PATIENCE) -> None:
        """From here on with new patience: for bytes to come, and for bytes to be taken."""
        self._receiving, self._sending = _Patience(seconds), _Patience(seconds)

    def setblocking(self, flag: bool) -> None:
        """gunicorn's wish, as those of the two methods below: known here, and news to nobody else."""
        self.settimeout(None if flag else 0.0)

    def settimeout(self, value: float | None) -> None:
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    def recv(self, size: int, flags: int = 0) -> bytes:
        while (data := self.recv_now(size, flags)) is None:
            self.flush()  # he may be waiting, too
            self._wait(select.POLLIN, self._receiving)
        self._receiving.moved += len(data)
        return data

    def send(self, data: Any, flags: int = 0) -> int:
        self.sendall(data, flags)
        self.flush()
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ARG002 - nobody gives any
        """Keeps a little back, until `flush`: the head of an answer and its body come one by one, and shall not wake
        the client twice."""
        self._unsent += data
        if len(self._unsent) > _LITTLE:
            self.flush()

    def flush(self) -> None:
        unsent, self._unsent = memoryview(self._unsent), bytearray()
        while unsent:
            try:
                sent = super().send(unsent)
            except BlockingIOError:
                self._wait(select.POLLOUT, self._sending)
            else:
                self._sending.moved += sent
                unsent = unsent[sent:]

    def recv_now(self, size: int, flags: int = 0) -> bytes | None:
        """What has arrived, b"" where the client has ended; None where nothing has."""
        try:
            return super().recv(size, flags)
        except BlockingIOError:
            return None

    def send_now(self, data: bytes) -> None:
        """As much as fits without waiting."""
        super().send(data)

    def _wait(self, event: int, patience: "_Patience") -> None:
        began = clock.ticks()
        poll = select.poll()
        poll.register(self, event)
        left = patience.left()
        ready = poll.poll(1000 * (left if self._timeout is None else min(left, self._timeout)))
        patience.waited += clock.ticks() - began
        if not ready:
            raise TooSlow(errno.ECONNRESET, "The client is too slow.")


class _Patience:
    """seconds: to begin with. waited: seconds. moved: bytes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.waited, self.moved = 0.0, 0

    def left(self) -> float:
        return max(0.001, self._seconds + self.moved / SLOWEST - self.waited)
