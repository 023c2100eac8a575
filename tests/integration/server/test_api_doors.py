"""The doors of the API service as it is deployed: when it refuses to start, and what slow, greedy and curious clients
can do."""

import json
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from api_service.access import store
from api_service.server import limits
from api_service.web import key
from api_service.web.key import Scope, Token
from notification_client import ApiClient, ApiError
from sandbox.processes import Processes
from shared import clock
from tests.support.api_server import OPEN, Server
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_server_fixture",)

THREADS = 16  # of all workers
PHONE = "79123456789"

# ---------------------------------------------------------------- when it refuses to start


def make_key(engine: Engine, scope: Scope = Scope.ADMIN) -> Token:
    token = key.new()
    with Session(engine) as session, session.begin():
        store.stored(session, token, "test", scope, None)
    return token


LOCKED = {"API_PORT": "0", "LOG_FORMAT": "json"}


def test_an_open_api_is_for_this_machine_only(processes: Processes, lines: list[str]) -> None:
    processes.start("api", "api_service", {**OPEN, "API_HOST": "0.0.0.0"})
    assert processes.wait("api", 30) == 2
    assert lines == ["API_AUTH may be off only where API_HOST is a loopback address (it is '0.0.0.0')."]


def test_without_a_key_it_says_how_to_make_one(
    processes: Processes, lines: list[str], engine: Engine, database_url: str
) -> None:
    with Session(engine) as session, session.begin():  # those that open nothing do not count
        for _ in range(2):
            store.stored(session, key.new(), "expired", Scope.ADMIN, clock.now())
        session.execute(
            text("update api_keys set revoked_at = now(), expires_at = null where id = (select min(id) from api_keys)")
        )
    processes.start("api", "api_service", {**LOCKED, "DATABASE_URL": database_url})
    assert processes.wait("api", 30) == 2
    (said,) = lines
    ((module, arguments),) = re.findall(r"`python -m (api_service) (keys create --name NAME --scope admin)`", said)
    assert said.startswith("API_AUTH is on and there is no API key that can be used: make one with ")
    processes.start("keys", module, {"DATABASE_URL": database_url}, *arguments.split())
    assert processes.wait("keys", 30) == 0
    token = lines[-1]

    lines.clear()
    processes.start("api", "api_service", {**LOCKED, "DATABASE_URL": database_url, "API_HOST": "0.0.0.0"})
    server = Server(processes, lines)
    with ApiClient(server.url, key=token) as client, ApiClient(server.url) as stranger:
        client.wait_until_ready(30)
        made = client.create_client(PHONE)
        with pytest.raises(ApiError) as error:
            stranger.client(made["id"])
    assert error.value.status == 401
    wait_until(lambda: len([event for event in server.events("request") if "status" in event]) >= 2)
    [created] = [event for event in server.events("request") if event["status"] == 201]
    assert created["key"] == token.split("_")[1]
    assert token.split("_", 2)[2] not in "".join(lines)


def test_without_a_schema_it_says_so(processes: Processes, lines: list[str], engine: Engine, database_url: str) -> None:
    with superuser(engine) as connection:
        connection.execute(text("drop table api_keys"))
    processes.start("api", "api_service", {**LOCKED, "DATABASE_URL": database_url})
    assert processes.wait("api", 30) == 2
    assert lines == ["The database has no table of API keys: `python -m shared.migrate` makes it."]


def test_locked_it_starts_before_its_database_and_lets_nobody_in(
    processes: Processes, lines: list[str], tmp_path: Path
) -> None:
    processes.start("api", "api_service", {**LOCKED, "DATABASE_URL": f"postgresql:///none?host={tmp_path}"})
    server = Server(processes, lines)
    wait_until(lambda: _status(f"{server.url}/health/live") == 200)
    assert _status(f"{server.url}/clients/") == 401
    answer = requests.get(f"{server.url}/clients/", headers={"Authorization": f"Bearer {key.new()}"}, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def _status(url: str) -> int:
    with suppress(requests.ConnectionError):
        return requests.get(url, timeout=30).status_code
    return 0


# ---------------------------------------------------------------- slow clients


@pytest.fixture(scope="module")
def open_server(books_url: str) -> Iterator[Server]:
    """One for all tests that leave it as good as they found it."""
    lines: list[str] = []
    with Processes(lambda _name, line: lines.append(line)) as processes:
        processes.start("api", "api_service", {**OPEN, "DATABASE_URL": books_url})
        server = Server(processes, lines)
        wait_until(lambda: _status(f"{server.url}/health/ready") == 200)
        yield server


POST = b"POST /clients/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SLOW = {
    "say nothing": b"",
    "do not end the head": b"GET /clients/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "do not end the body": POST + b"Content-Length: 60000\r\n\r\n",
    "do not end their second request": b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX: ",
}
EACH = 2 * THREADS


class Crowd:
    """Slow clients: each sends a byte now and then until it is sent away."""

    def __init__(self, stack: ExitStack, port: int) -> None:
        self.connections: dict[str, list[socket.socket]] = {
            name: [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(EACH)]
            for name in SLOW
        }
        for name, connections in self.connections.items():
            for connection in connections:
                connection.sendall(SLOW[name])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._trickle)
        self._thread.start()
        stack.callback(self.stop)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def answers(self, name: str) -> list[bytes]:
        """What each was told in the end, once all have been sent away."""
        return [_all(connection) for connection in self.connections[name]]

    def _trickle(self) -> None:
        while not self._stop.wait(0.5):
            for name, connections in self.connections.items():
                for connection in connections if SLOW[name] else ():
                    with suppress(OSError):
                        connection.send(b"x")


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def _all(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_slow_clients_hold_up_nobody_and_are_sent_away(open_server: Server) -> None:
    with ExitStack() as stack:
        crowd = Crowd(stack, open_server.port)
        for number in range(40):  # with a thread for each of them, the first would wait for ever
            answer = requests.post(
                f"{open_server.url}/clients/", json={"phone": f"7912{number:07}"}, timeout=limits.TIMEOUT
            )
            assert answer.status_code == 201
        assert all(answer == b"" for answer in crowd.answers("say nothing"))
        for name in ("do not end the head", "do not end the body"):
            assert all(b" 408 Request Timeout" in answer for answer in crowd.answers(name)), name
        for told in crowd.answers("do not end their second request"):
            assert told.startswith(b"HTTP/1.1 200 OK")
    with ApiClient(open_server.url) as client:
        assert len(list(client.clients())) == 40
    assert all(json.loads(line)["level"] in ("info", "debug") for line in open_server.lines)


def test_clients_that_do_not_hang_up_hold_up_nobody(open_server: Server) -> None:
    """Each would keep the main thread of a worker waiting for two seconds."""
    asked = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(open_server)) for _ in range(60)]
        for connection in crowd:
            connection.sendall(asked)
        for connection in crowd:
            assert b'"status": "ok"' in _all(connection).replace(b'":"', b'": "')


def test_more_connections_than_there_can_be_hold_up_nobody(
    processes: Processes, lines: list[str], database_url: str
) -> None:
    env = {**OPEN, "DATABASE_URL": database_url, "API_WORKERS": "1", "API_CONNECTIONS": str(limits.CONNECTIONS)}
    processes.start("api", "api_service", env)
    server = Server(processes, lines)
    with ApiClient(server.url) as client, descriptors(limits.CONNECTIONS + 400), ExitStack() as stack:
        client.wait_until_ready(30)
        for _ in range(limits.CONNECTIONS + 200):
            stack.enter_context(connected(server))
        for number in range(20):
            client.create_client(f"7912{number:07}")
        (process,) = psutil.Process(server.pid).children()
        assert len(process.net_connections()) <= limits.CONNECTIONS + 50


@contextmanager
def descriptors(wanted: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_requests_that_come_in_pieces_or_together_are_answered(open_server: Server) -> None:
    body = json.dumps({"phone": PHONE}).encode()
    post = (
        b"POST /clients/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    last = b"GET /clients/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connected(open_server) as connection:
        whole = post + body + b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" + last
        for start in range(0, len(whole), 50):
            connection.sendall(whole[start : start + 50])
            sleep(0.005)
        assert re.findall(rb"HTTP/1.1 (\d+)", _all(connection)) == [b"201", b"200", b"200"]
    with connected(open_server) as connection:
        connection.sendall(post.replace(b"Host", b"Expect: 100-continue\r\nConnection: close\r\nHost"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        assert b"HTTP/1.1 409" in _all(connection)


def test_an_answer_comes_in_one_piece(open_server: Server) -> None:
    """Its client is not woken by the head alone."""
    with connected(open_server) as connection:
        for _ in range(20):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert b"Content-Length: %d\r\n" % len(body) in head
            assert body


def test_the_documents_come_whole_in_part_and_not_again(open_server: Server) -> None:
    url = f"{open_server.url}/docs/swagger-ui-bundle.js"
    whole = requests.get(url, timeout=30)
    assert (whole.status_code, len(whole.content)) == (200, int(whole.headers["Content-Length"]))
    part = requests.get(url, headers={"Range": "bytes=1000-1999"}, timeout=30)
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    known = requests.get(url, headers={"If-None-Match": whole.headers["ETag"]}, timeout=30)
    assert (known.status_code, known.content) == (304, b"")
    with connected(open_server) as connection:  # none of them has a body that would be taken for the next answer
        head = b"HEAD /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n"
        tag = f"If-None-Match: {whole.headers['ETag']}\r\n".encode()
        last = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(head + b"\r\n" + head + tag + b"\r\n" + last)
        assert re.findall(rb"HTTP/1.1 (\d+)", _all(connection)) == [b"200", b"304", b"200"]


NO_LIMIT = limits.MAX_HEAD + 1000
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
HEADS = {
    "65 headers": (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(65)) + b"\r\n", 431),
    "endless head": (b"GET / HTTP/1.1\r\nX: " + b"y" * NO_LIMIT, 431),
    "endless path": (b"GET /" + b"a" * NO_LIMIT, 431),
    "long path": (b"GET /" + b"a" * 4200 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "long header": (GET + b"X: " + b"y" * 8200 + b"\r\n\r\n", 431),
    "two lengths": (GET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    "a length of 5 000 digits": (GET + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n", 400),
    "a signed length": (GET + b"Content-Length: +5\r\n\r\n", 400),
    "length and chunks": (CHUNKED + b"Content-Length: 5\r\n\r\n", 400),
    "chunks and length": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunks in chunks": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    "chunks twice": (CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n", 400),
    "chunks of HTTP/1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", 400),
    "another coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a coding with a tail": (POST + b"Transfer-Encoding: chunked\x85\r\n\r\n", 501),
    "a body over 64 KiB": (POST + b"Content-Length: 65537\r\n\r\n", 413),
    "a chunk of no size": (CHUNKED + b"\r\n5x\r\n", 400),
    "a chunk without an end": (CHUNKED + b"\r\n2\r\n{}xx", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", 400),
    "a header over two lines": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "a blank before the colon": (GET + b"Content-Length : 5\r\n\r\n", 400),
    "a bare line feed": (GET + b"X: a\nContent-Length: 5\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\n", 400),
    "an address that is none": (b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
}


def test_heads_that_are_refused(open_server: Server) -> None:
    for name, (head, status) in HEADS.items():
        with connected(open_server) as connection:
            with suppress(ConnectionError):
                connection.sendall(head)
            answer = _all(connection)
        assert answer.startswith(b"HTTP/1.1 %d " % status), name
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == status


def test_what_is_refused_can_be_found(processes: Processes, lines: list[str], database_url: str) -> None:
    """Under the id of the answer, with the address and the reason, and by its number."""
    processes.start("api", "api_service", {**OPEN, "DATABASE_URL": database_url})
    server = Server(processes, lines)
    for path, headers, reason in (
        (f"/{'a' * 9000}", {}, "line_too_long"),
        ("/", {"X-Long": "a" * 9000}, "head_too_large"),
        ("/clients/", {"X-Request-ID": "mine", "Content-Length": "70000"}, "body_too_large"),
    ):
        answer = requests.get(server.url + path, headers=headers, timeout=30)
        found = {"reason": reason, "status": answer.status_code, "address": "127.0.0.1"}
        wait_until(lambda: _refused(server, answer.headers["X-Request-ID"]))  # noqa: B023 - it is over in this round
        assert _refused(server, answer.headers["X-Request-ID"]).items() >= found.items()
        assert f'api_refused_total{{reason="{reason}"}} 1.0' in server.metrics()
    assert _refused(server, "mine")


def _refused(server: Server, request_id: str) -> dict[str, object]:
    return next((event for event in server.events("refused") if event["request_id"] == request_id), {})


def test_requests_that_were_sent_ahead_are_answered_in_turn(open_server: Server) -> None:
    asked = [f"/health/live?{number}" if number % 3 else f"/none/{number}" for number in range(300)]
    with connected(open_server) as connection:
        connection.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode() for path in asked))
        connection.shutdown(socket.SHUT_WR)
        answers = re.findall(rb"HTTP/1.1 (\d+)", _all(connection))
    assert answers == [b"200" if number % 3 else b"404" for number in range(300)]


def test_a_file_from_a_stranger_is_not_read(
    processes: Processes, lines: list[str], engine: Engine, database_url: str
) -> None:
    make_key(engine)
    processes.start("api", "api_service", {**LOCKED, "DATABASE_URL": database_url, "API_WORKERS": "1"})
    server = Server(processes, lines)
    wait_until(lambda: _status(f"{server.url}/health/ready") == 200)
    head = POST.replace(b"/clients/", b"/clients/import/") + b"Transfer-Encoding: chunked\r\n\r\n5\r\n"
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(40)]
        for connection in crowd:
            connection.sendall(head)
        for connection in crowd:
            assert _all(connection).startswith(b"HTTP/1.1 401 ")


# ---------------------------------------------------------------- what curious clients, and readers of the log, learn


def test_no_answer_and_no_log_gives_anything_away(
    processes: Processes, lines: list[str], engine: Engine, database_url: str
) -> None:
    token = make_key(engine)
    processes.start("api", "api_service", {**LOCKED, "DATABASE_URL": database_url})
    server = Server(processes, lines)
    wait_until(lambda: _status(f"{server.url}/health/ready") == 200)
    answers: list[str] = []

    def ask(method: str, path: str, **more: Any) -> int:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        answer = requests.request(method, server.url + path, headers=headers, timeout=30, **more)
        answers.append(f"{answer.headers} {answer.text}")
        return answer.status_code

    body = {"phone": PHONE}
    assert ask("POST", "/clients/", json=body) == 201
    assert ask("POST", "/clients/", json=body) == 409
    created, *_ = answers
    answers.remove(created)  # it has the phone, as it should
    assert ask("POST", "/clients/", json=body | {"tag": PHONE * 10}) == 422
    assert ask("POST", "/clients/", data=f"{PHONE} {token}", headers={"Content-Type": "application/json"}) == 400
    for path in (
        f"/clients/{PHONE}/",
        f"/clients/{PHONE}",
        f"/{PHONE}/{token}",
        f"/clients/?phone={PHONE}&key={token}",
    ):
        ask("GET", path)
    assert ask("GET", "/health/live", headers={"X-Request-ID": PHONE}) == 200
    assert ask("GET", "/clients/1/", headers={"Authorization": f"Bearer {token}x"}) == 401
    answers = [answer for answer in answers if "phone" not in answer]
    for statement, status in (
        ("alter table clients add constraint trouble check (tag <> 'trouble')", 500),
        ("alter table clients rename to lost", 500),
    ):
        with superuser(engine) as connection:
            connection.execute(text(statement))
        assert ask("POST", "/clients/", json={"phone": "79123456780", "tag": "trouble"}) == status
    wait_until(lambda: len(server.events("request")) >= 12)

    told = "".join(lines)
    for secret in (PHONE, "79123456780", token.secret):
        assert secret not in told
    assert "7912*****89" in told  # it was there, and it was masked
    for answer in answers:
        assert token.secret not in answer
        assert not re.search(
            r"Traceback|psycopg|sqlalchemy|insert into|select |/site-packages/|api_service", answer, re.I
        ), answer
