"""A server that does on the wire whatever a test wants, and remembers what it was asked."""

import json
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PATIENCE = 20.0  # seconds for a client to say something
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def answer(body: bytes = b'{"code": 0, "message": "OK"}', status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Request:
    """connection: the number of the connection it came on, from 1 on. headers: with their names in lower case."""

    connection: int
    first_line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> int:
        return int(json.loads(self.body)["id"])


class Wire:
    """`talk` is called with each connection, in a thread of its own; when it returns, the connection is closed."""

    def __init__(self, talk: "Callable[[Connection], None]", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.peeked: Counter[int] = Counter()  # ids of requests that came and were not read
        self.connections = 0
        self._talk = talk
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def seen(self) -> Counter[int]:
        """How often each id came."""
        return Counter(request.id for request in self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._open.add(client)
                threading.Thread(target=self._serve, args=(client, self.connections), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        client.settimeout(_PATIENCE)
        with suppress(OSError):
            sock = self._tls.wrap_socket(client, server_side=True) if self._tls else client
            self._talk(Connection(self, sock, number))
            sock.close()
        client.close()
        self._open.discard(client)


class Connection:
    def __init__(self, wire: Wire, sock: socket.socket, number: int) -> None:
        self.number = number
        self._wire = wire
        self._sock = sock
        self._buffer = b""

    def request(self) -> Request | None:
        """The next one, read to its end; None when the client has closed."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        first_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        request = Request(self.number, first_line, headers, body)
        self._wire.requests.append(request)
        return request

    def peek(self) -> int | None:
        """Waits for the next request and leaves it unread: closing then resets the connection. Its id, or None."""
        path = self._sock.recv(65536, socket.MSG_PEEK).decode("latin-1").split(" ")
        if len(path) < 2:
            return None
        message_id = int(path[1].rpartition("/")[2])
        self._wire.peeked[message_id] += 1
        return message_id

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        self._sock.close()

    def reset(self) -> None:
        """Ends the connection with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._sock.close()

    def wait_closed(self) -> None:
        """Returns when the client has closed, or after a while."""
        with suppress(OSError):
            while self._sock.recv(65536):
                pass

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            if not self._more():
                return None
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    def _more(self) -> bool:
        data = self._sock.recv(65536)
        self._buffer += data
        return bool(data)
