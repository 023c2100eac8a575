"""The loop of one process: takes connections and looks after them."""

import errno
import os
import socket
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from api_service.server.connection import Connection
from api_service.server.limits import CONNECTIONS, MAX_HEAD, RECEIVED, SPARE, THREADS, UNREAD
from api_service.server.phase import Phase
from api_service.server.proxies import Proxies
from api_service.server.refusal import FULL, TOO_MANY, Refusal
from api_service.web.request_log import RequestLog
from shared import clock

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_LOOK = 1.0  # seconds
_CROWD = 64  # connections
_NO_LIMIT = 2**62  # where we set one ourselves
_GIVEN_UP = (Phase.REQUEST, Phase.NEXT, Phase.CLIENT)


class Listener(TcpWSGIServer):  # type: ignore[misc]  # the library has no types
    channel_class = Connection

    def __init__(
        self,
        listening: socket.socket,
        application: "WSGIApplication",
        proxies: Proxies,
        per_address: int,
        log: RequestLog,
    ) -> None:
        """listening: shared by all processes. per_address: connections of one address."""
        self.proxies, self._per_address, self.log = proxies, per_address, log
        self.is_stopping = False
        self._next_look = 0.0
        adj = Adjustments(
            sockets=[listening],
            recv_bytes=RECEIVED,
            max_request_header_size=MAX_HEAD,
            max_request_body_size=_NO_LIMIT,
            outbuf_high_watermark=UNREAD,
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
            ident=None,
            server_name=listening.getsockname()[0],
        )
        adj.send_bytes = RECEIVED  # so that the head of an answer does not leave alone
        threads = ThreadedTaskDispatcher()
        threads.set_thread_count(THREADS)
        listening.setblocking(False)
        super().__init__(
            application,
            _sock=listening,
            dispatcher=threads,
            adj=adj,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )

    def run(self, grace: float, parent: int) -> None:
        """Returns when it was stopped, or the parent is gone, and every request is answered or has had its seconds of
        grace."""
        until = None
        while until is None or (self.active_channels and clock.ticks() < until):
            wasyncore.loop(timeout=_LOOK if until is None else _LOOK / 20, use_poll=True, map=self._map, count=1)
            now = clock.ticks()
            if until is None and self.is_stopping:
                until = now + grace
                wasyncore.dispatcher.close(self)
            if now >= self._next_look or until is not None:
                self._next_look = now + _LOOK
                self.is_stopping = self.is_stopping or os.getppid() != parent
                for connection in list(self.active_channels.values()):
                    connection.look(now)

    def stop(self) -> None:
        """For a signal handler."""
        self.is_stopping = True
        self.pull_trigger()

    def readable(self) -> bool:
        return bool(self.accepting)

    def handle_accept(self) -> None:
        """Takes one, so that the other processes get theirs; of a crowd at the door, many."""
        for _ in range(_CROWD):
            if not self._take_one():
                return

    def _take_one(self) -> bool:
        """Whether another one had to go for it."""
        try:
            accepted = self.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._give_up(self.active_channels.values(), FULL)
            return False
        if accepted is None:  # another process was faster
            return False
        sock, peer = accepted
        try:
            self.set_socket_options(sock)
            new = self.channel_class(self, sock, peer, self.adj, map=self._map)
        except OSError:  # it is gone already
            sock.close()
            return False
        if self.has_too_many_of(new):
            self._make_room(new, TOO_MANY)
            return True
        if len(self.active_channels) > CONNECTIONS - SPARE:
            self._make_room(new, FULL)
            return True
        return False

    def handle_error(self) -> None:
        """A defect; without its socket this process would serve nobody, so it ends and is replaced."""
        raise  # noqa: PLE0704 - called where an exception is handled

    def has_too_many_of(self, connection: Connection) -> bool:
        """Whether its client has more connections than they may have."""
        whose = connection.neighbourhood
        return whose is not None and self._count(whose) > self._per_address

    def _count(self, whose: str) -> int:
        return sum(one.neighbourhood == whose for one in self.active_channels.values())

    def _make_room(self, new: Connection, refusal: Refusal) -> None:
        """For a new connection, or ends that."""
        others = [one for one in self.active_channels.values() if one is not new]
        if refusal is TOO_MANY:
            others = [one for one in others if one.neighbourhood == new.neighbourhood]
        if not self._give_up(others, refusal) and len(self.active_channels) > CONNECTIONS:
            new.give_up(refusal)

    def _give_up(self, some: Iterable[Connection], refusal: Refusal) -> bool:
        """One of these connections that nothing is done for: of those that wait for the same, the larger crowd pays,
        whoever has waited longest."""
        crowds: dict[Phase, list[Connection]] = defaultdict(list)
        for one in some:
            if one.phase in _GIVEN_UP:
                crowds[one.phase].append(one)
        if not crowds:
            return False
        crowd = max(crowds.values(), key=len)
        min(crowd, key=lambda one: one.since).give_up(refusal)
        return True
