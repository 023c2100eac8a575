"""The HTTP server around an application of a test's own: files on their way in, with less patience; many requests."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from flask import Flask, request

from api_service.server import file_stream, limits
from api_service.server.connection import Connection
from api_service.web import answers, upload
from api_service.web.problems import Problem
from tests.support.listener import Connect, everything, listening

HEAD = b"POST /import/ HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def connected() -> Iterator[Connect]:
    """Connects to a server whose application says how many bytes it got, and refuses a body of the type `no`."""
    app = Flask(__name__)
    app.register_error_handler(Problem, answers.from_problem)

    @app.post("/import/")
    def take() -> Any:
        if request.content_type == "no":
            return "", 415
        return str(sum(map(len, upload.pieces(request))))

    with listening(app) as connect:
        yield connect


class Reluctant(list[Any]):
    """Requests of which a thread takes leave slowly."""

    def pop(self, *place: Any) -> Any:
        request = super().pop(*place)
        time.sleep(0.005)
        return request


def test_every_request_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the loop looks for the next one while the thread of the one before takes its leave."""
    asked: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        asked.append(environ["PATH_INFO"])
        body = environ["PATH_INFO"].encode()
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def ask(connect: Connect, who: int) -> None:
        with connect() as client:
            paths = [f"/{who}/{number}" for number in range(50)]
            client.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode() for path in paths))
            received = answer(client)
            assert re.findall(rb"\r\n\r\n(/\d+/\d+)", received) == [path.encode() for path in paths]

    def reluctant(self: Connection, *arguments: Any, **more: Any) -> None:
        usual(self, *arguments, **more)
        self.requests = Reluctant()

    usual = Connection.__init__
    monkeypatch.setattr(Connection, "__init__", reluctant)
    with listening(application) as connect, ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(ask, connect), range(4)))
    assert len(asked) == 4 * 50


def answer(client: socket.socket) -> bytes:
    """The whole of it, of a client that says nothing more."""
    client.shutdown(socket.SHUT_WR)
    return everything(client)


def test_more_than_fits_into_the_buffer(connected: Connect) -> None:
    size = 20 * limits.AHEAD
    with connected() as client:
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
        assert answer(client).endswith(b"%d" % size)
    with connected() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            client.sendall(b"%x\r\n%s\r\n" % (limits.AHEAD, b"x" * limits.AHEAD))
        client.sendall(b"0\r\n\r\n" + HEAD + b"Content-Length: 3\r\n\r\nabc")
        told = answer(client)
        assert b"%d" % size in told
        assert told.endswith(b"3")


def test_a_client_is_asked_for_the_file_when_it_is_wanted(connected: Connect) -> None:
    expects = HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n"
    with connected() as client:
        client.sendall(expects + b"\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abcde")
        assert answer(client).startswith(b"HTTP/1.1 200 ")
    with connected() as client:
        client.sendall(expects + b"Content-Type: no\r\n\r\n")
        refused = answer(client)
        assert refused.startswith(b"HTTP/1.1 415 ")
        assert b"Connection: close" in refused


@pytest.mark.parametrize("framing", [b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc"])
def test_who_breaks_off_and_listens_hears_why(connected: Connect, framing: bytes) -> None:
    with connected() as client:
        client.sendall(HEAD + framing)
        told = answer(client)
        assert told.startswith(b"HTTP/1.1 400 ")
        assert upload.BROKEN_OFF.encode() in told


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
def test_a_client_that_falls_silent_is_given_up(
    connected: Connect, framing: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one who sends a byte now and then."""
    monkeypatch.setattr(file_stream, "UPLOAD_PATIENCE", 0.3)
    monkeypatch.setattr(file_stream, "SLOWEST", 2**30)
    for trickle in (False, True):
        with connected() as client:
            client.sendall(HEAD + framing)
            stop = threading.Event()

            def drip(client: socket.socket = client, stop: threading.Event = stop) -> None:
                while not stop.wait(0.05):
                    client.sendall(b"1\r\nx\r\n" if b"chunked" in framing else b"x")

            thread = threading.Thread(target=drip)
            if trickle:
                thread.start()
            told = client.recv(65536)
            stop.set()
            if trickle:
                thread.join()
            assert told.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "body", [b"3\r\nabcxx", b"3 \r\nabc\r\n", b"-1\r\n", b"1" * 2000, b"0\r\n" + b"X: y\r\n" * 2000]
)
def test_chunks_that_make_no_sense(connected: Connect, body: bytes) -> None:
    with connected() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("limit", "value", "status"), [("MAX_SECONDS", 0.0, 408), ("MAX_BYTES", 29_999, 413)])
def test_limits(connected: Connect, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, status: int) -> None:
    body = b"Content-Length: 30000\r\n\r\n" + b"x" * 30_000
    with connected() as client:
        client.sendall(HEAD + body)
        assert answer(client).endswith(b"30000")
    monkeypatch.setattr(upload, limit, value)
    with connected() as client:
        client.sendall(HEAD + body)
        assert answer(client).startswith(b"HTTP/1.1 %d " % status)
