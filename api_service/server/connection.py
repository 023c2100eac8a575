"""The connection to one client: one request after another, and no thread that waits for the client.

The loop receives a request and hands it to a thread when it is whole; the thread leaves the answer in a buffer, sends
what the kernel takes at once, and is free; the loop sends the rest. The next request is looked at when that has gone,
so a client has at most one answer waiting, however many requests they have sent ahead.
"""

from contextlib import suppress
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel

from api_service.server.file_stream import FileStream
from api_service.server.limits import AHEAD, LINGER_BYTES, RECEIVED
from api_service.server.phase import Phase, on_the_way, patience
from api_service.server.refusal import TOO_LATE, TOO_MANY, TOO_SLOW, Refusal
from api_service.server.request import Request
from api_service.server.task import Task
from api_service.web.request_id import request_id
from api_service.web.upload import BROKEN_OFF
from shared import clock

if TYPE_CHECKING:
    from api_service.server.listener import Listener

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(HTTPChannel):  # type: ignore[misc]
    """Everything but `write_soon`, `flush`, `service` and what a Task asks for runs on the loop."""

    parser_class = Request
    task_class = Task
    request: Request | None = None  # the one that is being received

    def __init__(self, server: "Listener", sock: Any, peer: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, peer, adj, map)
        self.sendbuf_len = RECEIVED
        self.peer = server.proxies.normal(peer[0])
        self.is_proxied = server.proxies.believes(self.peer)
        self.client = self.peer  # of the present request
        self.since = clock.ticks()  # when the present phase began, or was seen first
        self._seen: Phase | None = Phase.REQUEST
        self._between = Phase.REQUEST  # the phase while there is neither a task nor an answer
        self._ahead = b""  # what has come and was not looked at
        self._file: FileStream | None = None
        self._sent = 0  # bytes of the present answer
        self._unread: int | None = None  # bytes that are still read after the last answer

    # ---------------------------------------------------------------- in which phase it is, and for how long

    @property
    def phase(self) -> Phase:
        if self._unread is not None:
            return Phase.END
        if self.total_outbufs_len or self.close_when_flushed:
            return Phase.CLIENT
        return Phase.THREAD if self.requests else self._between

    @property
    def neighbourhood(self) -> str | None:
        """Whose connection this is, as they are counted. A proxy's is nobody's between two requests."""
        if self.is_proxied and (self.client == self.peer or self.phase is Phase.NEXT):
            return None
        return self.server.proxies.neighbourhood(self.client)  # type: ignore[no-any-return]

    def look(self, now: float) -> None:
        """Once a second: ends what takes too long."""
        phase = self.phase
        if phase is not self._seen:
            self._seen, self.since = phase, now
        is_idle = phase in (Phase.NEXT, Phase.END) or (phase is Phase.REQUEST and self.request is None)
        taken = max(0, self._sent - on_the_way(self.socket)) if phase is Phase.CLIENT else 0
        if now < self.since + patience(phase, taken) and not (is_idle and self.server.is_stopping):
            return
        if phase is Phase.REQUEST and not is_idle:
            self.refuse(TOO_LATE)
        elif phase is Phase.CLIENT:
            self.give_up(TOO_SLOW)
        else:
            self.handle_close()

    # ---------------------------------------------------------------- in

    def readable(self) -> bool:
        """In every round of the loop."""
        if self._ahead:
            self._advance()
        phase = self.phase
        if phase is Phase.THREAD:
            return self._file is not None and self._file.has_room
        return phase is not Phase.CLIENT

    def handle_expt(self) -> None:
        """Urgent data; HTTP knows none."""
        self.handle_close()

    def handle_read(self) -> None:
        if self._file is None or not self.requests:
            super().handle_read()
            return
        try:
            data = self.socket.recv(AHEAD)  # much at once: while the file's thread works, the loop has its turn seldom
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if data:
            self.received(data)
        else:
            self._file.fail(BROKEN_OFF)  # whose thread still owes an answer

    def received(self, data: bytes) -> None:
        if self._unread is not None:
            self._unread -= len(data)
            if self._unread <= 0:
                self.handle_close()
            return
        if self._file is not None and self.requests:
            data = data[self._file.take(data) :]
        self._ahead += data
        self._advance()

    def _advance(self) -> None:
        """Looks at what has come, up to the end of the next request."""
        with self.requests_lock:  # the thread of the one before looks whether there is another
            while self._ahead and self.connected and self.phase in (Phase.REQUEST, Phase.NEXT):
                request = self.request or self._begun()
                self._ahead = self._ahead[request.received(self._ahead) :]
                self._consider(request)

    def _begun(self) -> Request:
        self.request = self.parser_class(self.adj)
        if self._between is Phase.NEXT:
            self._between = self._seen = Phase.REQUEST
            self.since = clock.ticks()
            self.client = self.peer
        return self.request

    def _consider(self, request: Request) -> None:
        if self.is_proxied and request.headers_finished and self.client == self.peer and not request.empty:
            self.client = self.server.proxies.client(self.peer, request.headers.get("X_FORWARDED_FOR", ""))
            if self.server.has_too_many_of(self):
                request.refusal = TOO_MANY
        if request.refusal is not None:
            self.refuse(request.refusal)
        elif request.completed:
            self.request = None
            if not request.empty:
                self._hand_over(request)
        elif request.expect_continue and request.headers_finished:
            self.send_continue()

    def _hand_over(self, request: Request) -> None:
        """To a thread."""
        self._file = None
        if request.is_file:
            begin = self._invite if request.expect_continue else _nothing
            self._file = FileStream(request.body_rcv, begin, self.server.pull_trigger)
            self._ahead = self._ahead[self._file.take(self._ahead) :]
        self._between, self._seen, self.since, self._sent = Phase.NEXT, None, clock.ticks(), 0
        self.requests.append(request)
        self.server.add_task(self)

    # ---------------------------------------------------------------- out

    def writable(self) -> bool:
        """In every round of the loop."""
        waits = self.total_outbufs_len >= (self.adj.send_bytes if self.requests else 1)
        return bool(waits or self.close_when_flushed or self.will_close)

    def handle_write(self) -> None:
        self._flush_exception(self._flush_some_if_lockable)
        if self.will_close:
            self.handle_close()
        elif self.close_when_flushed and self.connected and not self.total_outbufs_len:
            self._linger()

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close)
        self._sent += sent
        return sent

    def flush(self) -> None:
        """In a thread: the answer leaves at once, and in one piece, if the client takes it."""
        with self.outbuf_lock:
            if self.connected:
                self._flush_exception(self._flush_some, do_close=False)

    def _invite(self) -> None:
        """In a thread that reads a file: its client waits to be asked for it."""
        with self.outbuf_lock:
            if self.connected:
                self.outbufs[-1].append(_CONTINUE)
                self.total_outbufs_len += len(_CONTINUE)
                self._flush_exception(self._flush_some, do_close=False)

    # ---------------------------------------------------------------- the end

    @property
    def has_unread_file(self) -> bool:
        return self._file is not None and not self._file.is_complete

    def refuse(self, refusal: Refusal) -> None:
        """The last answer of this connection."""
        answer = self._note(refusal)
        self.request, self._ahead, self._seen, self._sent = None, b"", None, 0
        with self.outbuf_lock:
            self.outbufs[-1].append(answer)
            self.total_outbufs_len += len(answer)
            self.close_when_flushed = True

    def give_up(self, refusal: Refusal) -> None:
        """Ends it at once; who has begun a request hears why, if there is room for it."""
        answer = self._note(refusal)
        if self.phase is Phase.REQUEST and self.request is not None:
            with suppress(OSError):
                self.send(answer)
        self.handle_close()

    def handle_close(self) -> None:
        if self._file is not None:
            self._file.fail(BROKEN_OFF)
        super().handle_close()

    def _note(self, refusal: Refusal) -> bytes:
        headers = self.request.headers if self.request is not None else {}
        name = request_id(headers.get("X_REQUEST_ID"))
        refusal.note(self.server.log, self.client, name)
        return refusal.answer(name)

    def _linger(self) -> None:
        """So that the answer arrives even if the client is still sending (RFC 9112, 9.6)."""
        self.close_when_flushed = False
        self._ahead = b""
        try:
            self.socket.shutdown(SHUT_WR)
        except OSError:
            self.handle_close()
        else:
            self._unread = LINGER_BYTES


def _nothing() -> None:
    pass
