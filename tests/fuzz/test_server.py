"""What comes over the wire to the API, before it is a request: the server understands it in one way or refuses it.

The application says what it was given, so that nothing can be slipped past it.
"""

import json
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from logging.handlers import BufferingHandler
from typing import Any

import pytest
from hypothesis import example, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.bounds import SEED, cases
from tests.support.listener import Connect, everything, listening

pytestmark = pytest.mark.timeout(3600)  # they end by their counts

REFUSED = {400, 413, 414, 431, 501}


def application(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Says what it was asked."""
    said = [environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read().decode("latin-1")]
    body = json.dumps(said).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture(scope="module")
def connected() -> Iterator[Connect]:
    complaints = BufferingHandler(1000)
    complaints.setLevel(logging.WARNING)
    logging.getLogger("waitress").addHandler(complaints)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with listening(application) as connect:
        yield connect
    logging.getLogger("waitress").removeHandler(complaints)
    assert [record.getMessage() for record in complaints.buffer] == []


def told(connect: Connect, data: bytes, cuts: Sequence[int] = ()) -> list[tuple[int, bytes]]:
    """The answers, status and body, to these bytes, sent in pieces."""
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    with connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for start, end in zip([0, *ends], ends, strict=False):
                connection.sendall(data[start:end])
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused already
        received = everything(connection)
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        line = re.fullmatch(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*(?:\r\n[^\r\n]*)*", head)
        assert line is not None
        status = int(line[1])
        length = re.search(rb"(?im)^content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        answers.append((status, received[:size]))
        received = received[size:]
    return answers


# ---------------------------------------------------------------- what is sound is understood


@dataclass(frozen=True)
class Sent:
    path: str
    body: bytes
    data: bytes


SLY = [b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"5\r\nab", b"\r\n"]
bodies = st.lists(st.sampled_from(SLY) | st.binary(max_size=200), max_size=4).map(b"".join)
names = st.sampled_from(["/", "/clients/", "/a/import/"])


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    path, body = draw(names), draw(bodies)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    if draw(st.booleans()):
        return Sent(path, body, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    chunks, left = b"", body
    while left:
        size = draw(st.integers(1, len(left)))
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b;c"']))
        chunks += b"%x%s\r\n%s\r\n" % (size, extension, left[:size])
        left = left[size:]
    trailer = draw(st.sampled_from([b"", b"X-Trailer: y\r\n", b"Content-Length: 3\r\n"]))
    return Sent(path, body, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n")


@seed(SEED)
@settings(max_examples=cases(60))
@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=6))
def test_sound_requests_arrive_as_they_were_sent(connected: Connect, sent: list[Sent], cuts: list[int]) -> None:
    answers = told(connected, b"".join(one.data for one in sent), cuts)
    assert [status for status, _ in answers] == [200] * len(sent)
    assert [json.loads(body) for _, body in answers] == [["POST", one.path, one.body.decode("latin-1")] for one in sent]


# ---------------------------------------------------------------- what is not, is refused

PIECES = [
    b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"POST /import/ HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"GET /\r\n",
    b"GET http://[::1]/ HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n",
    b"GET /%zz%00%ff HTTP/1.1\r\n", b"Host: localhost\r\n", b"Content-Length: 5\r\n", b"Content-Length: 70000\r\n",
    b"Content-Length:\x0b5\r\n", b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:chunked\r\n",
    b"Transfer-Encoding: \tChunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive, Upgrade\r\n",
    b"Upgrade: h2c\r\n", b"Content_Length: 9\r\n", b"X-Request-ID: \xe9\r\n", b": x\r\n", b"X:\r\n", b" folded\r\n",
    b"X: a\rb\r\n", b"X: a\nb\r\n", b"\r\n", b"\r", b"\n", b"\0", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n", b"-1\r\n", b"0x5\r\n", b"fffffffffffffffff\r\n", b"5;a=\"\r\n", b"\xff\xfe", b"x" * 5000,
]  # fmt: skip


@seed(SEED)
@settings(max_examples=cases(150))
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=30), max_size=14).map(b"".join),
    st.lists(st.integers(0, 400), min_size=1, max_size=6),
)
@example(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n", [3])
def test_it_is_understood_in_one_way_or_refused(connected: Connect, data: bytes, cuts: list[int]) -> None:
    answers = told(connected, data)
    assert {status for status, _ in answers} <= {200} | REFUSED
    assert all(status == 200 for status, _ in answers[:-1]), "a refusal is the last answer"
    assert told(connected, data, cuts) == answers
