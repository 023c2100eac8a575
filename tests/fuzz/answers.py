"""What a provider can say on a connection: proper answers, nearly proper ones, and noise."""

import gzip
import json
from dataclasses import dataclass
from enum import StrEnum

from hypothesis import strategies as st


class Ending(StrEnum):
    """What the provider does with the connection when it has said everything."""

    KEEP = "keep"  # waits for the next request
    CLOSE = "close"
    RESET = "reset"  # takes back what has not arrived yet


class Beginning(StrEnum):
    """When it begins to answer."""

    REQUEST = "request"  # when it has read the request
    PEEK = "peek"  # when there is a request, which it reads afterwards
    UNREAD = "unread"  # when there is a request, which it never reads


@dataclass(frozen=True)
class Saying:
    """parts: written one after the other."""

    parts: tuple[bytes, ...]
    beginning: Beginning
    ending: Ending

    @property
    def stream(self) -> bytes:
        return b"".join(self.parts)

    @property
    def is_certain(self) -> bool:
        """Whether all of it arrives: a reset takes back what is under way."""
        return self.beginning is not Beginning.UNREAD and self.ending is not Ending.RESET


OK = b'{"code": 0, "message": "OK"}'

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("code"), inner, max_size=3)
    ),
    max_leaves=5,
)
_bodies = (
    st.sampled_from(
        [
            OK,
            b'{"code":0}',
            b'{"code": 7}',
            b'{"code": false}',
            b'{"code": 0, "code": 1}',
            b'{"code": 1, "code": 0}',
            b'{"code": 0, "more": {"id": 1, "id": 1}}',
            b'\xef\xbb\xbf{"code": 0}',
            b"",
            b"\0" * 10,
            OK + OK,
            OK + b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            gzip.compress(OK),
            OK.ljust(64 * 1024),
            OK.ljust(64 * 1024 + 1),
        ]
    )
    | st.just(OK)
    | st.integers(0, len(OK)).map(lambda size: OK[:size])
    | _json.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"code": st.just(0) | _json}).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40)
)
_status_lines = (
    st.just(b"HTTP/1.1 200 OK")
    | st.sampled_from([b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 \xd0\x9e\xd0\x9a"])
    | st.sampled_from([200, 201, 202, 204, 206, 301, 304, 308, 400, 401, 403, 404, 408, 429, 500, 503, 599, 999]).map(
        lambda status: b"HTTP/1.1 %d Whatever" % status
    )
    | st.sampled_from(
        [
            *(
                b"HTTP/2 200 OK",
                b"HTTP/1.2 200 OK",
                b"HTTP/3 200",
                b"HTTP/0.9 200 OK",
                b"HTTP/1.1  200 OK",
                b"HTTP/1.1",
            ),
            *(b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 -200 OK", b"HTTP/1.1 200OK", b"http/1.1 200 OK"),
            *(b" HTTP/1.1 200 OK", b"HTTP/1.1\t200 OK", b"ICY 200 OK", b"RTSP/1.0 200 OK", b"HTTP/1.1 0x0c8 OK", b""),
            *(b"HTTP/1.1 200 O\0K", b"HTTP/1.1 000 OK", b"HTTP/11 200 OK", b"XHTTP/1.1 200 OK", b"HTTP/1.1 99 OK"),
        ]
    )
)
_names = st.sampled_from([b"X", b"Date", b"Server", b"Set-Cookie", b"Retry-After", b"Connection", b"Content-Type"])
_values = (
    st.sampled_from([b"", b"close", b"keep-alive", b"Upgrade", b"a=b; Max-Age=9", b"Fri, 31 Dec 2999 23:59:59 GMT"])
    | st.integers().map(lambda number: b"%d" % number)
    | st.binary(max_size=10)
)
_headers = st.lists(
    st.tuples(_names, _values).map(b": ".join)
    | st.sampled_from(
        [
            *(b"Location: http://127.0.0.1:1/", b"Content-Encoding: gzip", b"Content-Encoding: br", b"Upgrade: h2c"),
            *(b'Alt-Svc: h2=":1"', b"Trailer: X", b"Proxy-Connection: close", b"Strict-Transport-Security: x"),
            *(b"WWW-Authenticate: Basic", b"WWW-Authenticate: Negotiate x", b"Refresh: 0; url=/"),
            *(
                b"X : y",
                b" folded",
                b"\tfolded",
                b"no colon",
                b": no name",
                b"X\0: y",
                b"X: \0",
                b"X: a\rb",
                b"X: a\nb",
            ),
            b"X: " + b"y" * 5000,
        ]
    ),
    max_size=3,
)
_lengths = st.sampled_from(
    [b"%d", b"0%d", b"+%d", b"-%d", b" %d", b"%d ", b"%d0", b"%dx", b"%d, %d", b"0x%x", b"%d.0", b"\t%d"]
)


@st.composite
def _framed(draw: st.DrawFn, body: bytes) -> tuple[list[bytes], bytes]:
    """The headers that say where the body ends, and the body as they say, or nearly so."""
    kind = draw(
        st.sampled_from(["length", "length", "chunks", "chunks", "close", "odd length", "twice", "both", "odd coding"])
    )
    size = len(body)
    match kind:
        case "length":
            return [b"Content-Length: %d" % size], body
        case "odd length":
            wrong = max(0, size + draw(st.integers(-3, 3)))
            form = draw(_lengths)
            return [b"Content-Length: " + form.replace(b"%x", b"%d" % wrong).replace(b"%d", b"%d" % wrong)], body
        case "twice":
            other = max(0, size + draw(st.integers(-1, 1)))
            return [b"Content-Length: %d" % size, b"Content-Length: %d" % other], body
        case "chunks":
            return [b"Transfer-Encoding: chunked"], draw(_chunked(body))
        case "both":
            length = draw(st.sampled_from([size, 0, 3]))
            return [b"Transfer-Encoding: chunked", b"Content-Length: %d" % length], draw(_chunked(body) | st.just(body))
        case "odd coding":
            coding = draw(
                st.sampled_from([b"Chunked", b"gzip", b"gzip, chunked", b"identity", b"chunked, chunked", b"", b"x"])
            )
            return [b"Transfer-Encoding: " + coding], draw(_chunked(body) | st.just(body))
    return [], body


@st.composite
def _chunked(draw: st.DrawFn, body: bytes) -> bytes:
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if start < end]
    form = draw(st.sampled_from([b"%x\r\n", b"%X\r\n", b"000%x\r\n", b"%x;a=b\r\n", b"%x \r\n"] + [b"%x\r\n"] * 5))
    chunks = [form % len(piece) + piece + b"\r\n" for piece in pieces]
    last = draw(
        st.sampled_from([b"0\r\n\r\n"] * 8)
        | st.sampled_from(
            [
                b"0\r\nX: y\r\n\r\n",
                b"",
                b"0\r\n",
                b"0\r\nX\0\r\n\r\n",
                b"-1\r\n\r\n",
                b"zz\r\n",
                b"ffffffffffffffffff\r\n",
            ]
        )
    )
    return b"".join(chunks) + last


_interim = st.sampled_from(
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
    ]
)
_noise = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\0", b" ", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", b"SSH-2.0-x\r\n"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",  # SETTINGS of HTTP/2
        b"\x15\x03\x01\0\x02\x02\x50",  # an alert of TLS
    ]
)


@st.composite
def _wholes(draw: st.DrawFn) -> bytes:
    """One final answer and what may come before it."""
    fields, body = draw(_bodies.flatmap(_framed))
    head = [draw(_status_lines), *draw(st.permutations(fields + draw(_headers)))]
    before = b"".join(draw(st.lists(_interim, max_size=2) | st.just([]) | st.lists(_noise | _interim, max_size=2)))
    return before + b"\r\n".join(head) + b"\r\n\r\n" + body


_plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(OK), OK)


@st.composite
def _damaged(draw: st.DrawFn, stream: bytes) -> bytes:
    """With a byte changed, bytes left out, put in, repeated, or cut off."""
    start = draw(st.integers(0, len(stream)))
    end = min(len(stream), start + draw(st.integers(0, 4)))
    match draw(st.sampled_from(["replace", "repeat", "cut", "case"])):
        case "replace":
            return (
                stream[:start]
                + draw(st.binary(max_size=3) | st.sampled_from([b"\n", b"\r\n", b"\0", b"0"]))
                + stream[end:]
            )
        case "repeat":
            return stream[:end] + stream[start:]
        case "cut":
            return stream[:start]
    return stream[:start] + stream[start:].swapcase()


_streams = (
    _wholes()
    | (st.just(_plain) | _wholes()).flatmap(_damaged)
    | st.lists(_wholes() | st.just(_plain), min_size=2, max_size=3).map(b"".join)
    | st.tuples(_wholes() | st.just(_plain), _noise | st.binary(max_size=20)).map(b"".join)
    | st.binary(max_size=200)
)


@st.composite
def _said(draw: st.DrawFn) -> Saying:
    stream = draw(_streams)
    cuts = sorted(draw(st.just([]) | st.lists(st.integers(0, len(stream)), max_size=3)))
    parts = tuple(stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True))
    beginning = draw(st.sampled_from([*[Beginning.REQUEST] * 6, *Beginning]))
    return Saying(parts, beginning, draw(st.sampled_from(Ending)))


sayings = _said()
