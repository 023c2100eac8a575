"""Connections to PostgreSQL on which no call waits for ever.

libpq waits for an answer as long as the connection lives, and that lives as long as somebody at its other end
acknowledges what arrives: a server that is frozen, a proxy that lost what is behind it. `statement_timeout` is kept by
the server, which in such a case keeps nothing. So a call that has no answer in time finds its socket shut down, and
fails as if the server had closed the connection.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.extensions import STATUS_READY, connection, cursor

BEAT = 0.5  # seconds


def connections(patience: float) -> Callable[..., connection]:
    """A `connection_factory` for psycopg2. patience: seconds that any call may take, to half a second and a bit."""

    def connect(*args: Any, **kwargs: Any) -> connection:
        made = _Connection(*args, **kwargs)
        made.patience = patience
        made.cursor_factory = _Cursor
        return made

    return connect


class _Connection(connection):
    patience: float

    def commit(self) -> None:
        with _watchdog.watching(self):
            super().commit()

    def rollback(self) -> None:
        if self.status == STATUS_READY and not self.closed:
            return  # there is nothing to take back, and psycopg2 would let another thread have the interpreter for it
        with _watchdog.watching(self):
            super().rollback()


class _Cursor(cursor):
    connection: _Connection

    def execute(self, *args: Any, **kwargs: Any) -> None:
        with _watchdog.watching(self.connection):
            super().execute(*args, **kwargs)

    def executemany(self, *args: Any, **kwargs: Any) -> None:
        with _watchdog.watching(self.connection):
            super().executemany(*args, **kwargs)


class _Watchdog:
    """Counts beats of its own and not seconds: a process that was stopped for a while gets its answers afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beat = 0
        self._last: dict[_Connection, int] = {}  # the last beat of its call
        self._thread = threading.Thread()

    @contextmanager
    def watching(self, connection: _Connection) -> Iterator[None]:
        with self._lock:
            self._last[connection] = self._beat + math.ceil(connection.patience / BEAT)
            if not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._last[connection]

    def _watch(self) -> None:
        while True:
            time.sleep(BEAT)
            with self._lock:  # so that no call ends, and no other one begins on its connection, in the middle of this
                self._beat += 1
                for connection, last in self._last.items():
                    if self._beat > last:
                        _shut_down(connection)


def _shut_down(connection: _Connection) -> None:
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


_watchdog = _Watchdog()
os.register_at_fork(after_in_child=_watchdog.__init__)  # type: ignore[misc]  # its thread, and who held the lock, are gone
