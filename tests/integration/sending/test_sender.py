"""The sender against a provider with every fault, over real sockets."""

import random
import resource
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import pytest
import trustme

from dispatcher_service.sending.breaker import FIRST_PAUSE, Breaker
from sandbox.processes import free_port
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import ACCEPTING, DRAWN, Fault, Faults
from sandbox.simulator.outage import Mode
from shared.clock import ticks
from shared.domain.message import Error
from shared.domain.profile.answer import MAX_BODY
from shared.domain.retry import ACCEPTED, OutcomeKind
from tests.support.sending import Sending, Unbreakable, attempt
from tests.support.waiting import wait_until
from tests.support.wire import Connection, Wire, answer

pytest_plugins = ("tests.support.provider",)

StartSimulator = Callable[..., Simulator]

OK = answer()
SHORT = 0.5  # seconds; a time-out that a test waits for


# ---------------------------------------------------------------- outcomes


FAULTS = {
    Fault.NONE: None,
    Fault.OTHER_ID: None,
    Fault.HANG: Error.TIMED_OUT,
    Fault.ACCEPT_HANG: Error.TIMED_OUT,
    Fault.RESET: Error.CONNECTION_LOST,
    Fault.ACCEPT_RESET: Error.CONNECTION_LOST,
    Fault.SERVER_ERROR: Error.SERVER_ERROR,
    Fault.RATE_LIMITED: Error.RATE_LIMITED,
    Fault.BAD_REQUEST: Error.REJECTED,
    Fault.UNAUTHORIZED: Error.UNAUTHORIZED,
    Fault.NOT_JSON: Error.BAD_ANSWER,
    Fault.WRONG_CODE: Error.DECLINED,
    Fault.CONTRADICTION: Error.CONTRADICTION,
    Fault.TRUNCATED: Error.BAD_ANSWER,
    Fault.ENDLESS: Error.BAD_ANSWER,
    Fault.REDIRECT: Error.REDIRECTED,
    Fault.NO_CODE: Error.BAD_ANSWER,
    Fault.CREATED: Error.BAD_ANSWER,
}


def test_every_fault_has_its_outcome(simulator: Simulator) -> None:
    assert FAULTS.keys() == {Fault.NONE, *DRAWN}
    with Sending(simulator.url, timeout=SHORT) as sending:
        for number, (fault, error) in enumerate(FAULTS.items()):
            ids = range(10 * number + 1, 10 * number + 11)
            simulator.set_faults(Faults({fault: 1.0} if fault is not Fault.NONE else {}, retry_after=42))
            results = sending.send(ids)
            outcomes = {result.outcome for result in results}
            assert {outcome and outcome.error for outcome in outcomes} == {error}, fault
            waits = {outcome and outcome.retry_after for outcome in outcomes}
            assert waits == {42.0 if fault is Fault.RATE_LIMITED else 0.0}
    received = simulator.received()
    assert {message_id: record.count for message_id, record in received.items()} == dict.fromkeys(received, 1)
    assert len(received) == 10 * len(FAULTS)
    assert simulator.summary().accepted == 10 * len(ACCEPTING)
    assert simulator.summary().broken == {}


def test_all_faults_at_once_over_kept_connections_repeat_nothing(simulator: Simulator) -> None:
    faults = [fault for fault in DRAWN if fault is not Fault.ENDLESS]
    # More than a few 429 bring the pace down, and it would take long.
    rates: dict[Fault, float] = {fault: 0.01 if fault is Fault.RATE_LIMITED else 0.04 for fault in faults}
    simulator.set_faults(Faults(rates, jitter_ms=5))
    count = 3000
    with Sending(simulator.url, timeout=1.0, concurrency=100) as sending:
        results = sending.send(range(1, count + 1), timeout=60)
    assert sorted(result.attempt.message.id for result in results) == list(range(1, count + 1))
    summary = simulator.summary()
    expected: Counter[Error | str | None] = Counter()
    for fault, number in summary.faults.items():
        expected[FAULTS[Fault(fault)]] += number
    assert sending.errors == expected
    assert summary.requests == count
    assert summary.overlapping == summary.doubled == summary.resent == 0


def wire_error(talk: Callable[[Connection], None], timeout: float = 5.0) -> tuple[Error | None, int]:
    """What one call to such a server leads to, and how often the server got it."""
    with Wire(talk) as wire, Sending(wire.url, timeout=timeout) as sending:
        return sending.error(), len(wire.requests)


def says(*parts: bytes, then: str = "close") -> Callable[[Connection], None]:
    """Reads one request, says this, and then closes, resets or waits."""

    def talk(connection: Connection) -> None:
        connection.request()
        for part in parts:
            connection.send(part)
        if then == "reset":
            connection.reset()
        elif then == "wait":
            connection.wait_closed()

    return talk


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CODE_0 = b'{"code": 0}'


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (says(OK), None),
        (says(OK, then="wait"), None),
        (says(OK[:20], OK[20:50], OK[50:], then="wait"), None),
        (says(HEAD, b"\r\n", CODE_0), None),  # the body ends with the connection
        (says(HEAD, b"Connection: close\r\n\r\n", CODE_0), None),
        (says(b"HTTP/1.0 200 OK\r\n\r\n", CODE_0), None),
        (says(CHUNKED, b"5\r\n", CODE_0[:5], b"\r\n6\r\n", CODE_0[5:], b"\r\n0\r\n\r\n"), None),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", OK), None),
        (says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK), None),
        (says(answer(b'{"code": 1, "code": 0}')), Error.CONTRADICTION),
        (says(HEAD, b"Content-Length: 11\r\n\r\n", CODE_0[:6]), Error.BAD_ANSWER),
        (says(CHUNKED, b"5\r\n", CODE_0[:5], b"\r\n"), Error.BAD_ANSWER),
        (says(CHUNKED, b"zz\r\n"), Error.CONNECTION_LOST),  # libcurl gives this the code of a broken connection
        (says(HEAD, b"Content-Length: -1\r\n\r\n"), Error.BAD_ANSWER),
        (says(HEAD, b"Content-Length: 11\r\nContent-Length: 12\r\n\r\n", CODE_0), Error.BAD_ANSWER),
        (says(HEAD, b"Content-Encoding: gzip\r\nContent-Length: 11\r\n\r\n", CODE_0), None),  # we did not ask for it
        (says(CODE_0), Error.BAD_ANSWER),  # HTTP/0.9
        (says(b"\x15\x03\x01\x00\x02\x02\x50" * 100), Error.BAD_ANSWER),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), Error.BAD_ANSWER),
        (says(b"HTTP/1.1 200 OK\r\n\0\0: \0\r\n\r\n", CODE_0), Error.BAD_ANSWER),
        (says(b"HTTP/1.1 204 No Content\r\n\r\n", then="wait"), Error.BAD_ANSWER),
        (says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), Error.CONNECTION_LOST),
        (says(answer(b"", "302 Found", "Location: /v1/send/2")), Error.REDIRECTED),
        (says(answer(b"", "308 Permanent Redirect", "Location: http://127.0.0.1:1/")), Error.REDIRECTED),
        (says(answer(b"", "401 Unauthorized", "WWW-Authenticate: Basic", "WWW-Authenticate: Digest nonce=1")),
         Error.UNAUTHORIZED),
        (says(answer(b"", "417 Expectation Failed")), Error.REJECTED),
        (says(answer(CODE_0, "201 Created")), None),
        (says(answer(b"Created", "201 Created")), Error.BAD_ANSWER),
        # A status that came says it, whatever becomes of the rest; one that sounds like success does not.
        (says(b"HTTP/1.1 503 Away\r\nContent-Length: 11\r\n\r\n", CODE_0[:6]), Error.SERVER_ERROR),
        (says(b"HTTP/1.1 503 Away\r\nContent-Length: 11\r\n\r\n", then="wait"), Error.SERVER_ERROR),
        (says(b"HTTP/1.1 503 Away\r\nContent-Length: 9999999\r\n\r\n", b" " * 99_999), Error.SERVER_ERROR),
        (says(b"HTTP/1.1 400 No\r\nContent-Length: 11\r\n\r\n", then="reset"), Error.REJECTED),
        (says(HEAD, b"Content-Length: 9999999\r\n\r\n", CODE_0), Error.BAD_ANSWER),
        (says(answer(b"", "421 Misdirected Request")), Error.REJECTED),
        (says(), Error.CONNECTION_LOST),
        (says(then="reset"), Error.CONNECTION_LOST),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n"), Error.CONNECTION_LOST),
        (says(HEAD, then="reset"), Error.CONNECTION_LOST),
        (says(then="wait"), Error.TIMED_OUT),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", then="wait"), Error.TIMED_OUT),
        (says(HEAD, b"Content-Length: 11\r\n\r\n", CODE_0[:6], then="wait"), Error.TIMED_OUT),
        (says(HEAD, b"X: ", then="wait"), Error.TIMED_OUT),
    ],
)  # fmt: skip
def test_answers_on_the_wire(talk: Callable[[Connection], None], error: Error | None) -> None:
    assert wire_error(talk, timeout=1.0) == (error, 1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7", 7),
        ("Retry-After: 0", 0),
        ("Retry-After: -7", 0),
        ("Retry-After: soon", 0),
        ("Retry-After: 99999999999999999999", None),
        ("Retry-After: Fri, 31 Dec 2999 23:59:59 GMT", None),
        ("Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("X: y", 0),
    ],
)
def test_how_long_the_provider_asks_to_wait(header: str, seconds: float | None) -> None:
    """None: as long as it likes, but a number."""
    with Wire(says(answer(b"", "429 Too Many Requests", header))) as wire, Sending(wire.url) as sending:
        (result,) = sending.send([1])
    assert result.outcome is not None
    assert result.outcome.kind is OutcomeKind.LIMITED
    if seconds is None:
        assert 0 <= result.outcome.retry_after < 1e12
    else:
        assert result.outcome.retry_after == seconds


# ---------------------------------------------------------------- no request is sent twice


def test_a_kept_connection_that_dies_on_the_second_request(simulator: Simulator) -> None:
    """Where the first answer keeps the connection and the second request meets a reset, some clients send it again by
    themselves."""

    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(OK)
        connection.request()
        connection.reset()

    with Wire(talk) as wire, Sending(wire.url, concurrency=20) as sending:
        for start in range(1, 601, 20):
            sending.send(range(start, start + 20))
    assert wire.seen == Counter(range(1, 601))
    assert sending.errors[None] == wire.connections
    assert sending.errors[Error.CONNECTION_LOST] == 600 - wire.connections > 200


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_kept_connection_that_dies_unread(ending: str) -> None:
    """The second request is written, but the provider ends the connection without having read it."""

    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(OK)
        connection.peek()
        if ending == "reset":
            connection.reset()

    with Wire(talk) as wire, Sending(wire.url, concurrency=20) as sending:
        for start in range(1, 401, 20):
            sending.send(range(start, start + 20))
    assert max(wire.peeked.values()) == 1
    assert not wire.peeked.keys() & wire.seen.keys()
    assert sending.errors == {None: wire.connections, Error.CONNECTION_LOST: len(wire.peeked)}


def test_a_provider_that_closes_after_every_answer_without_saying_so() -> None:
    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(OK)

    with Wire(talk) as wire, Sending(wire.url, concurrency=10) as sending:
        for start in range(1, 501, 10):
            sending.send(range(start, start + 10))
    assert max(wire.seen.values()) == 1
    assert sending.errors.keys() <= {None, Error.CONNECTION_LOST}
    assert sending.errors[None] == len(wire.seen) >= 10


def test_a_kept_connection_that_was_closed_meanwhile_carries_nothing() -> None:
    closed: SimpleQueue[int] = SimpleQueue()

    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(OK)
        connection.close()
        closed.put(connection.number)

    with Wire(talk) as wire, Sending(wire.url, concurrency=1) as sending:
        for message_id in range(1, 21):
            assert sending.error(message_id) is None
            assert closed.get(timeout=20) == message_id
    assert wire.seen == Counter(range(1, 21))


def test_what_comes_behind_an_answer_answers_no_other_message() -> None:
    said = threading.Event()

    def talk(connection: Connection) -> None:
        while request := connection.request():
            if request.id == 1:
                connection.send(OK)
                connection.send(OK)
                said.set()
            else:
                connection.send(answer(b"", "400 Bad Request"))

    with Wire(talk) as wire, Sending(wire.url, concurrency=1) as sending:
        assert sending.error(1) is None
        assert said.wait(20)
        assert sending.error(2) is Error.REJECTED
    assert wire.seen == {1: 1, 2: 1}


def test_resets_over_kept_connections(simulator: Simulator) -> None:
    simulator.set_faults(Faults({Fault.RESET: 0.2, Fault.ACCEPT_RESET: 0.2}))
    with Sending(simulator.url, concurrency=100) as sending:
        sending.send(range(1, 2001))
    received = simulator.received()
    assert {record.count for record in received.values()} == {1}
    assert len(received) == 2000
    faults = simulator.summary().faults
    assert sending.errors == {None: faults["none"], Error.CONNECTION_LOST: faults["reset"] + faults["accept_reset"]}


# ---------------------------------------------------------------- not delivered for sure


def test_nobody_listens() -> None:
    with Sending(f"http://127.0.0.1:{free_port()}") as sending:
        assert sending.error() is Error.UNREACHABLE


def test_a_name_that_does_not_exist() -> None:
    with Sending(f"http://{'x' * 64}.invalid") as sending:  # a label has 63 characters at the most: nobody is asked
        assert sending.error() is Error.UNREACHABLE


def test_the_provider_is_gone_when_a_kept_connection_is_to_be_used(simulator: Simulator) -> None:
    """libcurl looks whether a connection is dead before it uses it, unless that was in use within the last second; then
    the request is written, and lost for all we know."""
    with Sending(simulator.url) as sending:
        sending.send(range(1, 51))
        simulator.outage(Mode.REFUSE)
        sending.send(range(51, 101))
        assert sending.errors.keys() <= {None, Error.UNREACHABLE, Error.CONNECTION_LOST}
        sending.send(range(101, 151))
    assert sending.errors[None] == 50
    assert sending.errors[Error.UNREACHABLE] >= 50
    assert simulator.summary().requests == 50


@pytest.fixture
def deaf() -> Iterator[tuple[socket.socket, str]]:
    """A listener whose queue is full: connecting to it takes until somebody accepts."""
    with closing(socket.socket()) as listener, closing(socket.socket()) as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_connection_that_is_made_after_the_deadline_carries_nothing(deaf: tuple[socket.socket, str]) -> None:
    listener, url = deaf
    with Sending(url) as sending:
        sending.sender.offer(sending.line, [attempt(1, start_by=0.1, deadline=0.3)])
        (result,) = sending.wait(1, timeout=5)
        assert result.outcome is not None
        assert result.outcome.error is Error.UNREACHABLE
        assert 0.2 <= result.at - result.attempt.clock.ticks < 2
        listener.settimeout(0.5)
        assert all(b"POST" not in data for data in everything_said_to(listener))


def everything_said_to(listener: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            client, _ = listener.accept()
        except TimeoutError:
            return
        client.settimeout(0.2)
        with closing(client):
            try:
                yield client.recv(65536)
            except OSError:
                yield b""


def test_a_connection_may_take_longer_than_a_call_may_wait_to_begin(deaf: tuple[socket.socket, str]) -> None:
    """A handshake with a far provider takes its time."""
    listener, url = deaf
    with Sending(url) as sending:
        sending.sender.offer(sending.line, [attempt(1, start_by=0.1)])
        time.sleep(1.2)
        assert sending.results == []
        listener.settimeout(10)
        blocking, _ = listener.accept()
        client, _ = listener.accept()
        with closing(blocking), closing(client):
            client.settimeout(10)
            assert client.recv(65536).startswith(b"POST /v1/send/1 HTTP/1.1\r\n")
            client.sendall(OK)
            sending.wait(1)
    assert sending.errors == {None: 1}


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + b"\r\n" + CODE_0] + [b" " * 65536] * 1600,
        [HEAD + b"Content-Length: 104857600\r\n\r\n"] + [b" " * 65536] * 1600,
        [CHUNKED] + [b"10000\r\n" + b" " * 65536 + b"\r\n"] * 1600,
        [HEAD + b"X: "] + [b"x" * 65536] * 1600,
        [HEAD] + [b"X: y\r\n" * 10_000] * 1600,
        [b"HTTP/1.1 100 Continue\r\n\r\n" * 2500] * 1600,
        [CHUNKED + b"0\r\n"] + [b"X: y\r\n" * 10_000] * 1600,
    ],
    ids=["endless", "long", "chunks", "header line", "headers", "interim answers", "trailers"],
)
def test_a_flood_is_cut_off(parts: list[bytes]) -> None:
    """100 MB, of which no more than a little is read and kept."""
    sent = 0

    def talk(connection: Connection) -> None:
        nonlocal sent
        connection.request()
        for part in parts:
            connection.send(part)
            sent += len(part)

    process = psutil.Process()
    before = process.memory_info().rss
    with Wire(talk) as wire, Sending(wire.url, timeout=20) as sending:
        assert sending.error() in (Error.BAD_ANSWER, Error.CONNECTION_LOST)
    assert process.memory_info().rss - before < 20_000_000
    assert sent < 30_000_000


def test_the_longest_answer_that_counts() -> None:
    for size, error in ((MAX_BODY, None), (MAX_BODY + 1, Error.BAD_ANSWER)):
        body = CODE_0.ljust(size)
        assert wire_error(says(answer(body))) == (error, 1)


def test_the_longest_text_is_written_whole() -> None:
    text = "\U0001f600" * 2000
    with Wire(says(OK)) as wire, Sending(wire.url) as sending:
        sending.sender.offer(sending.line, [attempt(1, text=text)])
        sending.wait(1)
    assert text.encode() in wire.requests[0].body


# ---------------------------------------------------------------- what a request looks like


def test_the_request() -> None:
    with Wire(says(OK)) as wire, Sending(f"{wire.url}/base", token="s3cret") as sending:
        assert sending.error(2**63 - 1) is None
    (request,) = wire.requests
    assert request.first_line == f"POST /base/v1/send/{2**63 - 1} HTTP/1.1"
    assert request.body.decode() == f'{{"id": {2**63 - 1}, "phone": 79123456789, "text": "Привет"}}'
    assert request.headers == {
        "host": f"127.0.0.1:{wire.port}",
        "authorization": "Bearer s3cret",
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": "notification-service",
        "content-length": str(len(request.body)),
    }


def test_without_a_token_no_authorization_is_sent() -> None:
    with Wire(says(OK)) as wire, Sending(wire.url) as sending:
        sending.error()
    assert "authorization" not in wire.requests[0].headers


def test_the_token_is_checked_and_never_logged(
    start_simulator: StartSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    simulator = start_simulator("--token", "s3cret-t0ken")
    with Sending(simulator.url, token="s3cret-t0ken") as sending:
        assert sending.error(1) is None
    with Sending(simulator.url, token="another-t0ken", breaker=Breaker()) as sending:
        assert sending.error(2) is Error.UNAUTHORIZED
    logged = "".join(capfd.readouterr())
    assert "breaker_opened" in logged
    assert "t0ken" not in logged


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert wire_error(says(OK)) == (None, 1)


def test_connections_are_kept_and_used_again() -> None:
    def talk(connection: Connection) -> None:
        while connection.request():
            connection.send(OK)

    with Wire(talk) as wire, Sending(wire.url, concurrency=20) as sending:
        sending.send(range(1, 1001))
    assert wire.seen == Counter(range(1, 1001))
    assert wire.connections <= 20


def test_no_more_calls_than_allowed_are_in_flight(simulator: Simulator) -> None:
    simulator.set_faults(Faults(latency_ms=20))
    most, stop = 0, threading.Event()
    port = int(simulator.url.rpartition(":")[2])

    def watch() -> None:
        nonlocal most
        process = psutil.Process()
        while not stop.is_set():
            open_now = [c for c in process.net_connections("tcp") if c.raddr and c.raddr.port == port]
            most = max(most, sum(c.status == psutil.CONN_ESTABLISHED for c in open_now))

    with Sending(simulator.url, concurrency=7) as sending:
        watcher = threading.Thread(target=watch)
        watcher.start()
        sending.send(range(1, 201))
        stop.set()
        watcher.join()
    assert 0 < most <= 7


# ---------------------------------------------------------------- TLS


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return authority, path


def tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_a_certificate_of_nobody_we_know_is_refused(
    authority: tuple[trustme.CA, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with Wire(says(OK), tls(authority[0], "127.0.0.1")) as wire, Sending(wire.url, token="s3cret") as sending:
        assert sending.error() is Error.UNREACHABLE
        sending.send(range(2, 60))
    assert wire.requests == []
    told = [line for line in capfd.readouterr().out.splitlines() if "provider_unreachable" in line]
    assert len(told) == 1, "once, and not with every call"
    assert "SSL certificate" in told[0]
    assert "s3cret" not in told[0]


def test_the_operator_may_name_an_authority(
    authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))

    def talk(connection: Connection) -> None:
        while connection.request():
            connection.send(OK)

    with Wire(talk, tls(authority[0], "127.0.0.1")) as wire, Sending(wire.url, concurrency=20) as sending:
        sending.send(range(1, 501))
    assert sending.errors == {None: 500}
    assert wire.seen == Counter(range(1, 501))
    assert wire.connections <= 20


def test_calls_over_tls_do_not_wait_for_each_other(
    authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones wait until it is known whether one connection can carry them all (HTTP/2); here it can not."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    together = threading.Barrier(10, timeout=10)

    def talk(connection: Connection) -> None:
        connection.request()
        together.wait()
        connection.send(OK)

    with Wire(talk, tls(authority[0], "127.0.0.1")) as wire, Sending(wire.url, concurrency=20) as sending:
        sending.send(range(1, 11))
    assert sending.errors == {None: 10}


def test_a_certificate_of_another_name_is_refused(
    authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    with Wire(says(OK), tls(authority[0], "provider.example")) as wire, Sending(wire.url) as sending:
        assert sending.error() is Error.UNREACHABLE
    assert wire.requests == []
    assert "certificate subject name" in capfd.readouterr().out


def test_a_handshake_that_never_ends_is_not_sent() -> None:
    with Wire(Connection.wait_closed) as wire, Sending(f"https://127.0.0.1:{wire.port}", timeout=SHORT) as sending:
        assert sending.error() is Error.UNREACHABLE
    assert wire.connections == 1


# ---------------------------------------------------------------- whether a call is begun


def test_what_may_not_be_sent_any_more_comes_back_unsent(simulator: Simulator) -> None:
    with Sending(simulator.url, timeout=10) as sending:
        sending.sender.offer(
            sending.line,
            [
                attempt(1, deadline=0),
                attempt(2, start_by=-0.1),
                attempt(3, lease=9.9),  # a call that takes its whole time-out would outlast the lease
                attempt(4, lease=11),
                attempt(5, not_before=60, start_by=0.2),
                attempt(6),
            ],
        )
        results = {result.attempt.message.id: result.outcome for result in sending.wait(6)}
    assert [message_id for message_id, outcome in results.items() if outcome] == [4, 6]
    assert simulator.received().keys() == {4, 6}


class Freezing(Unbreakable):
    """Asked whether a call may be begun, it takes as long as a process that is stopped right there."""

    def allowed(self, now: float, calls_open: int) -> int | None:
        time.sleep(0.5)
        return None


@pytest.mark.parametrize("limits", [{"lease": 10.3}, {"deadline": 0.3}], ids=["lease", "deadline"])
def test_frozen_after_the_last_look_nothing_is_written(simulator: Simulator, limits: dict[str, Any]) -> None:
    with Sending(simulator.url, timeout=10, breaker=Freezing()) as sending:
        sending.sender.offer(sending.line, [attempt(1, **limits), attempt(2)])
        results = {result.attempt.message.id: result.outcome for result in sending.wait(2)}
    assert results == {1: None, 2: ACCEPTED}
    assert simulator.received().keys() == {2}


def test_what_waits_for_a_free_call_too_long_comes_back_unsent(simulator: Simulator) -> None:
    simulator.set_faults(Faults({Fault.HANG: 1.0}))
    with Sending(simulator.url, timeout=3, concurrency=5) as sending:
        sending.offer(range(1, 6))
        sending.sender.offer(sending.line, [attempt(message_id, start_by=0.2) for message_id in range(6, 11)])
        results = sending.wait(5, timeout=2.5)
        assert {result.attempt.message.id for result in results} == set(range(6, 11))
        assert sending.errors == {"not made": 5}
        sending.wait(10)
    assert simulator.received().keys() == set(range(1, 6))


def test_no_call_begins_before_its_time(simulator: Simulator) -> None:
    count, rate = 100, 100.0
    with Sending(simulator.url) as sending:
        since = time.time()
        sending.sender.offer(
            sending.line, [attempt(number + 1, not_before=number / rate, start_by=60) for number in range(count)]
        )
        sending.wait(count)
    starts = [simulator.received()[number + 1].first_at - since for number in range(count)]
    assert all(start > number / rate - 0.01 for number, start in enumerate(starts))
    assert starts[-1] < 5  # nor much later


# ---------------------------------------------------------------- thousands in flight


@pytest.fixture
def many_files() -> Iterator[None]:
    """The usual soft limit is 1 024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_thousands_of_calls_in_flight(simulator: Simulator) -> None:
    """More than select(2) could watch."""
    count = 2500
    simulator.set_faults(Faults({Fault.HANG: 1.0}))
    with Sending(simulator.url, timeout=10, concurrency=count) as sending:
        sending.offer(range(1, count + 1))
        wait_until(lambda: simulator.summary().received == count)
        assert sending.results == []
        simulator.set_faults(Faults())
        sending.wait(count, timeout=30)
        assert sending.errors == {Error.TIMED_OUT: count}
        sending.send(range(count + 1, 2 * count + 1))
    assert sending.errors == {Error.TIMED_OUT: count, None: count}
    assert {record.count for record in simulator.received().values()} == {1}


# ---------------------------------------------------------------- the breaker


def test_an_outage_opens_the_breaker_and_one_probe_at_a_time_finds_its_end(simulator: Simulator) -> None:
    simulator.outage(Mode.UNAVAILABLE)
    breaker = Breaker()
    with Sending(simulator.url, concurrency=10, breaker=breaker) as sending:
        sending.offer(range(1, 101))
        results = sending.wait(100)
        assert breaker.reason is Error.SERVER_ERROR
        assert sending.line.room == 0
        assert 0 < sending.sender.pause <= FIRST_PAUSE
        made = sum(result.outcome is not None for result in results)
        assert 20 <= made < 30  # those that opened it, and those that were on the wire then
        assert simulator.summary().requests == made

        wait_until(lambda: sending.line.room == 1)
        results = sending.send(range(101, 111))
        assert Counter(result.outcome is not None for result in results) == {True: 1, False: 9}
        assert sending.line.room == 0
        assert sending.sender.pause > FIRST_PAUSE

        simulator.end_outage()
        wait_until(lambda: sending.line.room == 1)
        results = sending.send(range(111, 121))
        assert Counter(result.outcome is not None for result in results) == {True: 1, False: 9}
        assert not breaker.is_open
        assert {result.outcome for result in sending.send(range(121, 221))} == {
            results[-1].outcome or results[0].outcome
        }
    assert simulator.summary().overlapping == 0


def test_a_refused_token_opens_the_breaker_at_once(simulator: Simulator) -> None:
    simulator.set_faults(Faults({Fault.UNAUTHORIZED: 1.0}, latency_ms=50))
    with Sending(simulator.url, concurrency=5, breaker=Breaker()) as sending:
        sending.send(range(1, 101))
    assert sending.errors == {Error.UNAUTHORIZED: 5, "not made": 95}


# ---------------------------------------------------------------- stopping


def test_stop_hands_back_what_waits_and_lets_calls_finish(simulator: Simulator) -> None:
    simulator.set_faults(Faults(latency_ms=500))
    with Sending(simulator.url, concurrency=10) as sending:
        sending.offer(range(1, 31))
        wait_until(lambda: simulator.summary().received == 10)
        sending.sender.stop(within=10)
        results = sending.wait(30, timeout=5)
        assert sending.sender.join(5)
    made = {result.attempt.message.id for result in results if result.outcome}
    assert made == simulator.accepted().keys()
    assert sending.errors == {None: 10, "not made": 20}


def test_stop_gives_up_calls_that_hang(simulator: Simulator) -> None:
    simulator.set_faults(Faults({Fault.ACCEPT_HANG: 1.0}))
    with Sending(simulator.url, timeout=60, concurrency=10) as sending:
        sending.offer(range(1, 31))
        wait_until(lambda: simulator.summary().received == 10)
        since = ticks()
        sending.sender.stop(within=0.5)
        assert sending.sender.join(10)
        assert 0.4 < ticks() - since < 5
    assert sending.errors == {Error.TIMED_OUT: 10, "not made": 20}


def test_what_is_offered_after_the_stop_comes_back_as_well(simulator: Simulator) -> None:
    with Sending(simulator.url) as sending:
        sending.sender.stop(within=1)
        assert sending.sender.join(5)
        sending.offer(range(1, 11))
        sending.wait(10, timeout=2)
    assert sending.errors == {"not made": 10}


@pytest.mark.parametrize("seed", range(5))
def test_every_attempt_comes_back_exactly_once(simulator: Simulator, seed: int) -> None:
    """Whatever happens: faults, deadlines, an outage, offers from another thread while it is being stopped."""
    chance = random.Random(seed)
    faults = [fault for fault in DRAWN if fault is not Fault.ENDLESS]
    simulator.set_faults(Faults(dict.fromkeys(faults, 0.03), jitter_ms=20))
    stop_at = chance.uniform(0, 1.5)
    offered: list[int] = []
    stopped = threading.Event()
    with Sending(simulator.url, timeout=SHORT, concurrency=20, breaker=Breaker()) as sending:

        def offer() -> None:
            while not stopped.is_set() and len(offered) < 20_000:
                batch = range(len(offered) + 1, len(offered) + chance.randint(2, 40))
                offered.extend(batch)
                sending.sender.offer(
                    sending.line,
                    [
                        attempt(
                            message_id,
                            not_before=chance.choice([0, 0, 0.05]),
                            start_by=chance.choice([0, 0.1, 0.5]),
                            lease=chance.choice([0.1, 30]),
                        )
                        for message_id in batch
                    ],
                )
                time.sleep(chance.choice([0, 0.001, 0.01]))

        thread = threading.Thread(target=offer)
        thread.start()
        time.sleep(stop_at / 2)
        simulator.outage(chance.choice(list(Mode)), seconds=0.2)
        time.sleep(stop_at / 2)
        sending.sender.stop(within=chance.choice([0, 0.1, 5]))
        assert sending.sender.join(10)
        stopped.set()
        thread.join()
        assert Counter(result.attempt.message.id for result in sending.wait(len(offered))) == Counter(offered)
    made = {result.attempt.message.id for result in sending.results if result.outcome}
    received = simulator.received()
    assert received.keys() <= made
    assert {record.count for record in received.values()} <= {1}


def test_a_sender_leaves_no_descriptor_behind(simulator: Simulator) -> None:
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(3):
        with Sending(simulator.url) as sending:
            sending.send(range(1, 51))
    assert process.num_fds() <= before + 3
