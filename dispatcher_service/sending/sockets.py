"""The sockets of the provider calls: which ones libcurl waits for, and which are ready.

libcurl stops waiting for a connection's socket at the end of every call, and waits for it again as soon as the next
call uses the connection. To tell the kernel both costs a tenth of the whole call; so a socket stays registered for a
moment in between.
"""

import contextlib
import select
import selectors
import socket
from collections.abc import Iterator

from shared.clock import ticks

REST = 1.0
"""Seconds after which, and after as many more at the most, a socket that nobody waits for is no longer registered."""

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Sockets:
    """Belongs to one thread, which alone may use it; only `wake` may be called from others."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._registered: dict[int, int] = {}  # events by descriptor
        self._resting: dict[int, float] = {}  # since when, by descriptor; all of them are registered
        self._spoiled: set[int] = set()  # something came, the end perhaps, while nobody waited for it
        self._look_at = 0.0
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_in, READ)

    def opened(self, descriptor: int) -> None:
        """A new connection has this descriptor. Whatever was known about it was about another one, now closed."""
        self._forget(descriptor)

    def watch(self, descriptor: int, events: int) -> None:
        """events: READ, WRITE or both."""
        self._resting.pop(descriptor, None)
        if self._registered.get(descriptor) == events:
            return
        if descriptor in self._registered:
            self._selector.modify(descriptor, events)
        else:
            self._selector.register(descriptor, events)
        self._registered[descriptor] = events

    def rest(self, descriptor: int) -> None:
        """Nobody waits for it now; it may have been closed, too."""
        if descriptor in self._registered:
            self._resting[descriptor] = ticks()

    def ready(self, timeout: float) -> Iterator[tuple[int, int]]:
        """Descriptors and their events, after at most so many seconds, or a `wake`."""
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._wake_in:
                self._wake_in.recv(4096)
            elif key.fd in self._resting:
                self._spoil(key.fd)
            else:
                yield key.fd, events

    def look(self) -> None:
        """Sees what has come since the last `ready` for sockets that nobody waits for."""
        for key, _ in self._selector.select(0):
            if key.fd in self._resting:
                self._spoil(key.fd)

    def is_quiet(self, descriptor: int) -> bool:
        """Whether nothing had come by the last look while nobody waited for it; of one that has rested for long, by
        now."""
        if descriptor in self._spoiled:
            return False
        if descriptor in self._registered:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)

    def forget_rested(self) -> None:
        """A socket that is closed while it rests says nothing, and its number may become another's: trust none long."""
        now = ticks()
        if now < self._look_at:
            return
        self._look_at = now + REST
        for descriptor in [descriptor for descriptor, since in self._resting.items() if since < now - REST]:
            self._forget(descriptor)

    def wake(self) -> None:
        """Ends a running or the next `ready` early. From any thread; never raises."""
        with contextlib.suppress(OSError):  # it is full: the loop is awake; or closed: the loop has ended
            self._wake_out.send(b"\0")

    def close(self) -> None:
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _spoil(self, descriptor: int) -> None:
        """It would be ready again and again."""
        self._forget(descriptor)
        self._spoiled.add(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._spoiled.discard(descriptor)
        self._resting.pop(descriptor, None)
        if self._registered.pop(descriptor, None) is not None:
            self._selector.unregister(descriptor)
