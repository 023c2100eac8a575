"""Requests are read whole or not at all, however they are cut."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.simulator.http1 import MAX_BODY, MAX_HEAD, BadRequest, parse

BODIES = st.binary(max_size=200)
POST = b"POST /a HTTP/1.1\r\n"


def request(body: bytes) -> bytes:
    return POST + b"Host: x\r\nX-Empty:\r\nContent-LENGTH: %d \r\n\r\n%b" % (len(body), body)


@given(BODIES, st.binary(max_size=50))
def test_a_request_ends_where_its_length_says(body: bytes, following: bytes) -> None:
    data = request(body)
    parsed = parse(data + following)
    assert parsed is not None
    assert parsed[0] == ("POST", "/a", {"host": "x", "x-empty": "", "content-length": str(len(body))}, body, True)
    assert parsed[1] == len(data)


@given(BODIES, st.data())
def test_a_part_of_a_request_is_none(body: bytes, data: st.DataObject) -> None:
    whole = request(body)
    assert parse(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@given(st.binary(max_size=300))
def test_anything_else_is_refused_or_waited_for(data: bytes) -> None:
    with suppress(BadRequest):
        parsed = parse(data)
        assert parsed is None or parsed[1] <= len(data)


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        (b"POST /a HTTP/1.1\r\n\r\n", True),
        (b"POST /a HTTP/1.1\r\nConnection: Close\r\n\r\n", False),
        (b"POST /a HTTP/1.0\r\n\r\n", False),
        (b"POST /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_keep_alive(first: bytes, kept: bool) -> None:
    parsed = parse(first)
    assert parsed is not None
    assert parsed[0].keep_alive is kept


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"POST a HTTP/1.1\r\n\r\n", 400),
        (b"POST /a b HTTP/1.1\r\n\r\n", 400),
        (b"POST /a HTTP/2\r\n\r\n", 400),
        (POST + b"Host\r\n\r\n", 400),
        (POST + b"Host : x\r\n\r\n", 400),
        (POST + b": x\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1e3\r\n\r\n", 400),
        (POST + "Content-Length: \u00b2\r\n\r\n".encode("latin-1"), 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", 411),
        (POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (POST + b"X: " + b"x" * MAX_HEAD, 431),
        (POST + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431),
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(data)
    assert caught.value.status == status
