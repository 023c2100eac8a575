"""gunicorn's worker with threads, made fit to meet clients that are slow, or do not speak HTTP.

gunicorn gives a thread to a connection as soon as its first byte has arrived, and waits for the rest without limit: as
many clients as there are threads, each sending a byte now and then, stop the service. Here a request is received before
a thread has to do with it (`reception`).
"""

import errno
import json
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from socket import SHUT_WR, socket
from types import FrameType
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker
from werkzeug.http import HTTP_STATUS_CODES

from api_service.body import MAX_BYTES
from api_service.reception import PatientSocket, Reception
from shared import clock

CONNECTIONS = 800
"""Of a worker. Below the usual limit of 1 024 open files."""

_SIGN = 1.0  # seconds between two signs of life
_SPARE = 50  # connections that are kept free for clients that are not slow
_DRAIN = 0.1  # seconds for a body that nobody has read to be over
_LINGER = 2.0  # seconds for a client to close, after we have
_LINGER_BYTES = 64 * 1024
_CHUNK = 64 * 1024


class Connection(TConn):  # type: ignore[misc]  # the library has no types
    """reception: of the request that comes next."""

    def __init__(self, worker: "Worker", sock: PatientSocket, client: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, client, server)
        self.reception = Reception(MAX_BYTES)
        self._worker = worker
        self.data_ready = True  # a thread never has to wait for the first byte

    def init(self) -> None:
        """In a thread: the request to be parsed is the one that was received."""
        super().init()
        self.sock.be_patient()
        self.parser.unreader.unread(bytes(self.reception.received))
        self.reception = Reception(MAX_BYTES)

    def close(self, graceful: bool = False) -> None:
        """gunicorn's own waits for the client, on the one thread that all others need."""
        if graceful and self._worker.alive:
            self._worker.linger(self.sock)
        else:
            super().close(graceful)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Everything here but `handle`, `handle_error` and `_keepalive_after` runs on the main thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving: dict[Connection, None] = {}  # those whose deadline is nearest first
        self._lingering: dict[PatientSocket, float] = {}  # until when
        self._next_sign = 0.0

    def accept(self, listener: socket) -> None:
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._make_room(CONNECTIONS - self.nr_conns + _SPARE)
            return
        self.nr_conns += 1
        self._receive(Connection(self, PatientSocket(accepted), client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: PatientSocket) -> None:
        """A further request on a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.reception = Reception(MAX_BYTES)
        self._receive(conn)

    def enqueue_req(self, conn: Connection) -> None:
        """A further request of which bytes came along with the one before; gunicorn gives it a thread at once."""
        conn.reception = Reception(MAX_BYTES)
        conn.reception.add(conn.parser.unreader.take_buffered())
        self._receive(conn)

    def notify(self) -> None:
        """A sign of life for gunicorn's arbiter, which waits for one much longer; it asks for one in every round of the
        main loop."""
        now = clock.ticks()
        if now >= self._next_sign:
            self._next_sign = now + _SIGN
            super().notify()

    def murder_pending(self) -> None:
        """In every round of the main loop, at least once a second: closes what takes too long."""
        now = clock.ticks()
        while self._receiving and (conn := next(iter(self._receiving))).reception.deadline <= now:
            self._refuse(conn)
        if not self.alive:
            for conn in [conn for conn in self._receiving if not conn.reception.received]:
                self._refuse(conn)
        for sock in [sock for sock, until in self._lingering.items() if until <= now]:
            self._end_lingering(sock)
        self._make_room(_SPARE)

    def handle(self, conn: Connection) -> Any:
        if conn.reception.is_too_long:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("head"))
            return False
        return super().handle(conn)

    def handle_error(self, req: Any, client: PatientSocket, addr: Any, exc: Exception) -> None:
        """What is no proper HTTP request is answered in the shape of all other errors."""
        status = next((status for kind, status in _REFUSED.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
        else:
            client.sendall(_answer(status, UNREADABLE))
        with suppress(OSError):
            client.flush()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT. gunicorn's own asks the thread pool for a lock that the code which the signal interrupts may hold."""
        super(ThreadWorker, self).handle_quit(sig, frame)

    def linger(self, sock: PatientSocket) -> None:
        """Closes a connection so that the answer arrives even if the client is still sending (RFC 9112, 9.6)."""
        try:
            sock.shutdown(SHUT_WR)
            self.poller.register(sock, EVENT_READ, partial(self._drain, [_LINGER_BYTES]))
        except (OSError, ValueError):
            sock.close()
        else:
            self._lingering[sock] = clock.ticks() + _LINGER

    # ---------------------------------------------------------------- receiving

    def _receive(self, conn: Connection) -> None:
        """Begins: mostly everything is there already."""
        if conn.reception.is_complete:
            super().enqueue_req(conn)
        elif self._take(conn):
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_readable, conn))
            self._receiving[conn] = None

    def _on_readable(self, conn: Connection, sock: PatientSocket) -> None:
        if not self._take(conn):
            self.poller.unregister(sock)
            del self._receiving[conn]

    def _take(self, conn: Connection) -> bool:
        """Takes what has arrived; whether more is needed. Otherwise a thread has the connection, or it is closed."""
        try:
            data = conn.sock.recv_now(_CHUNK)
        except OSError:
            data = b""
        if data:
            conn.reception.add(data)
        if conn.reception.is_complete or conn.reception.is_too_long:
            super().enqueue_req(conn)
            return False
        if data == b"":
            self._close(conn)
            return False
        return True

    def _refuse(self, conn: Connection) -> None:
        """Who has begun a request hears that it took too long."""
        self.poller.unregister(conn.sock)
        del self._receiving[conn]
        if conn.reception.received:
            with suppress(OSError):
                conn.sock.send_now(_answer(408, "The request did not arrive in time."))
        self._close(conn)

    def _make_room(self, spare: int) -> None:
        """Gives up connections that nothing is done for until so many are free: of those that wait for a request to
        arrive, or for a further one to begin, the larger crowd pays, the oldest first."""
        while self.nr_conns > CONNECTIONS - spare and (self._receiving or self.keepalived_conns):
            if len(self._receiving) >= len(self.keepalived_conns):
                self._refuse(next(iter(self._receiving)))
            else:
                conn = self.keepalived_conns.popleft()
                self.poller.unregister(conn.sock)
                self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    # ---------------------------------------------------------------- the end of a connection

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """The request is answered. A body that nobody has read costs the client his connection, not us the time of a
        thread."""
        conn.sock.flush()
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + _DRAIN))

    def _drain(self, left: list[int], sock: PatientSocket) -> None:
        try:
            data = sock.recv_now(_CHUNK)
        except OSError:
            data = b""
        left[0] -= len(data or b"")
        if data == b"" or left[0] <= 0:
            self._end_lingering(sock)

    def _end_lingering(self, sock: PatientSocket) -> None:
        del self._lingering[sock]
        self.poller.unregister(sock)
        sock.close()


UNREADABLE = "The server cannot read this request."
_REFUSED = {LimitRequestLine: 414, LimitRequestHeaders: 431, ParseException: 400}


def _answer(status: int, message: str) -> bytes:
    name = HTTP_STATUS_CODES[status]
    body = json.dumps({"code": status, "status": name, "message": message, "errors": {}}).encode()
    head = (
        f"HTTP/1.1 {status} {name}\r\nConnection: close\r\nCache-Control: no-store\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
