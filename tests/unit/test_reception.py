"""When a request has arrived far enough to be worth a thread, however it is cut into pieces."""

import pytest

from api_service.reception import MAX_HEAD, Reception

GET = b"GET /clients/ HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /clients/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /clients/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTS = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
LONG = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n"

CASES = [
    ("no body", GET, b""),
    ("a short body is waited for", POST, b"12345"),
    ("whatever the letters of the name", POST.replace(b"Content-Length", b"CONTENT-length"), b"12345"),
    ("a header that ends in the name is another one", GET.replace(b"Host", b"X-Content-Length"), b""),
    ("a body of unknown length is read by the thread", CHUNKED, b""),
    ("who waits for a word gets it", EXPECTS, b""),
    ("a long body is read by the thread", LONG, b""),
    ("so are two lengths", POST[:-2] + b"Content-Length: 6\r\n\r\n", b""),
    ("so are a length and chunks", POST[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", b""),
    ("a length that is none is for the parser", POST.replace(b"5", b"five"), b""),
]


@pytest.mark.parametrize(("head", "body"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_it_is_complete_with_its_last_byte_and_not_before(head: bytes, body: bytes, size: int) -> None:
    reception, whole = Reception(short=100), head + body
    for start in range(0, len(whole), size):
        assert not reception.is_complete
        reception.add(whole[start : start + size])
    assert reception.is_complete
    assert not reception.is_too_long
    assert reception.received == whole


def test_what_comes_behind_is_kept() -> None:
    reception = Reception(short=100)
    reception.add(GET + POST)
    assert reception.is_complete
    assert reception.received == GET + POST


def test_a_head_without_end_is_too_long() -> None:
    reception = Reception(short=100)
    reception.add(GET[:-2])
    while not reception.is_too_long:
        assert len(reception.received) <= MAX_HEAD
        reception.add(b"X: y\r\n" * 100)
    assert not reception.is_complete
