"""As much of HTTP/1.1 as a provider needs, on an asyncio protocol: keep-alive, pipelining, bodies with a length.

Written by hand because a library costs more per request than everything else here together, and none of them can be
told to answer wrongly.
"""

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import NamedTuple, cast

MAX_HEAD = 16 * 1024  # bytes
MAX_BODY = 64 * 1024  # bytes; a text of 2000 characters takes 24 000 at the most

_PATIENCE = 2  # seconds that a client gets to read why its request was refused
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]  # names in lower case; of equal ones the last
    body: bytes
    keep_alive: bool


class BadRequest(Exception):
    """A request that gets an answer of this status, with this message. answer: all of it; None: as JSON."""

    def __init__(self, status: int, message: str, answer: bytes | None = None) -> None:
        super().__init__(message)
        self.status, self.answer = status, answer


def parse(data: bytes) -> tuple[Request, int] | None:
    """The first request in the data and its length in bytes; None as long as it is not complete.

    Raises BadRequest; what follows in the data then means nothing any more.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(data) >= MAX_HEAD:
            raise BadRequest(431, f"more than {MAX_HEAD} bytes before the body")
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/") or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(400, "the first line is not that of a request")
    headers = _headers(lines)
    length = _length(headers)
    total = end + 4 + length
    if len(data) < total:
        return None
    connection = headers.get("connection", "").lower()
    keep_alive = connection != "close" if words[2] == "HTTP/1.1" else connection == "keep-alive"
    return Request(words[0], words[1], headers, data[end + 4 : total], keep_alive), total


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header has no proper name")
        if name == "content-length" and headers.get(name, value) != value:
            raise BadRequest(400, "two different lengths")
        headers[name] = value
    return headers


def _length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(411, "a body must come with Content-Length")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(400, "Content-Length is not a number")
    if len(text) > 18 or int(text) > MAX_BODY:
        raise BadRequest(413, f"a body of more than {MAX_BODY} bytes")
    return int(text)


def response(status: int, body: bytes, headers: str = "", content_type: str = "application/json") -> bytes:
    """`headers`: lines, each with its CRLF."""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def json_response(status: int, value: object, headers: str = "") -> bytes:
    return response(status, json.dumps(value).encode(), headers)


def ndjson_response(lines: Iterable[str]) -> Iterator[bytes]:
    """A response in parts, for `Connection.stream`."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = iter(lines)
    while batch := list(itertools.islice(rest, 500)):
        part = "\n".join(batch).encode() + b"\n"
        yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection of a client; a subclass says in `handle` what is answered. Requests are handled one at a time."""

    transport: asyncio.Transport
    keep_alive = True  # after the current answer

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting = False  # for `reply` or the end of a stream
        self._ended = False  # nothing more is read or answered
        self._parts: Iterator[bytes] | None = None
        self._writable = True

    def handle(self, request: Request) -> bytes | None:
        """The answer; None: `reply`, `stream` or `reset` follows, now or later, or the client gives up.

        Raises BadRequest.
        """
        raise NotImplementedError

    def refuse(self, error: BadRequest) -> bytes:
        """The answer to a request that could not be read or handled."""
        return error.answer or json_response(error.status, {"code": error.status, "message": str(error)})

    def reply(self, answer: bytes) -> None:
        """Answers the request for which `handle` gave None."""
        self._waiting = False
        self._send(answer)
        self._serve()

    def stream(self, parts: Iterator[bytes]) -> None:
        """Answers the request for which `handle` gave None, as fast as the client reads, others taking their turn."""
        self._parts = parts
        self._pump()

    def reset(self) -> None:
        """Ends the connection with RST; the client sees `connection reset by peer`."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self._parts = None

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._buffer = self._buffer + data if self._buffer else data
        if not self._waiting:
            self._serve()
        elif len(self._buffer) > 4 * (MAX_HEAD + MAX_BODY):
            self.transport.abort()  # nobody pipelines that much

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()

    def _serve(self) -> None:
        while self._buffer and not self.transport.is_closing():
            try:
                parsed = parse(self._buffer)
            except BadRequest as error:
                self._end(self.refuse(error))
                return
            if parsed is None:
                return
            request, length = parsed
            self._buffer = self._buffer[length:]
            self.keep_alive = request.keep_alive
            try:
                answer = self.handle(request)
            except BadRequest as error:
                answer = self.refuse(error)
            if answer is None:
                self._waiting = True
                return
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        self.transport.write(answer)
        if not self.keep_alive:
            self.transport.close()

    def _end(self, answer: bytes) -> None:
        """The last answer. What the client still sends is read, or closing would reset the connection and the answer
        with it."""
        self._ended = True
        self._buffer = b""
        self.transport.write(answer)
        self.transport.write_eof()
        asyncio.get_running_loop().call_later(_PATIENCE, self.transport.abort)

    def _pump(self) -> None:
        """Writes one part; comes back on the next turn of the loop, or when the client has read enough."""
        if self._parts is None or not self._writable:
            return
        part = next(self._parts, None)
        if part is None:
            self._parts = None
            self.reply(b"")
            return
        self.transport.write(part)
        if self._writable:
            asyncio.get_running_loop().call_soon(self._pump)
