"""What crowds of bad clients cost the others: next to nothing, whether or not they have a key."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest
import requests
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from api_service.access import store
from api_service.web import key
from api_service.web.key import Scope
from sandbox.processes import Processes
from tests.support.api_server import WORKERS, Server
from tests.support.listener import everything
from tests.support.waiting import patience, wait_until

CROWD = 24  # more than there are threads
SOON, NOT_SOON = 3.0, 7.0  # seconds; 0.1 where nothing else is done, and ten and more where a crowd holds all threads
ADDRESSES = 100  # of one address, per worker; the default

BUNDLE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Locked(Server):
    """With keys. `key`: one that may write. `others_key`: one that the others have, whose share nobody else uses up."""

    key: str
    others_key: str

    def count(self, reason: str) -> float:
        """How often the server has refused something for that reason."""
        sample = f'api_refused_total{{reason="{reason}"}} '
        found = [line for line in self.metrics().splitlines() if line.startswith(sample)]
        return float(found[0].removeprefix(sample)) if found else 0.0

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children()

    def others_are_answered(self, seconds: float = 3.0) -> None:
        """Those from another address, with and without a key."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for path, headers in (("/health/live", ""), ("/clients/", f"Authorization: Bearer {self.others_key}\r\n")):
                began = time.monotonic()
                with self.connected("127.0.0.9") as connection:
                    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
                    connection.sendall(request.encode())
                    assert everything(connection).startswith(b"HTTP/1.1 200 "), path
                assert time.monotonic() - began < patience(SOON, at_most=NOT_SOON), path
            time.sleep(0.05)

    def connected(self, address: str = "127.0.0.1", buffer: int | None = None) -> socket.socket:
        """A new connection from an address of this machine. buffer: bytes that the kernel holds for the client."""
        connection = socket.socket()
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(30)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", self.port))
        return connection


@pytest.fixture(scope="module")
def server(books_url: str, books_engine: Engine) -> Iterator[Locked]:
    tokens = key.new(), key.new()
    with Session(books_engine) as session, session.begin():
        for token in tokens:
            store.stored(session, token, "test", Scope.WRITE, None)
    lines: list[str] = []
    with Processes(lambda _name, line: lines.append(line)) as processes:
        env = {"DATABASE_URL": books_url, "API_PORT": "0", "API_RATE": "0", "LOG_FORMAT": "json"}
        processes.start("api", "api_service", {**env, "API_WORKERS": str(WORKERS)})
        server = Locked(processes, lines)
        server.key, server.others_key = map(str, tokens)
        wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=10).ok)
        yield server
    assert not [line for line in lines if '"level": "warning"' in line or '"level": "error"' in line]


@contextmanager
def at_it(work: Callable[[], object], every: float) -> Iterator[None]:
    """Does it again and again, as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [work() for _ in iter(lambda: stop.wait(every), True)])
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("ahead", [8, 400])
def test_slow_readers(server: Locked, ahead: int) -> None:
    """Each has asked for more than they will ever read; some read 10 KiB a second, some nothing."""

    def read() -> None:
        for connection in slow:
            with suppress(BlockingIOError):
                connection.recv(1024)

    with ExitStack() as stack:
        memory = max(worker.memory_info().rss for worker in server.workers)
        slow, silent = ([stack.enter_context(server.connected(buffer=4096)) for _ in range(CROWD)] for _ in range(2))
        for connection in slow + silent:
            connection.sendall(BUNDLE * ahead)
            connection.setblocking(False)
        with at_it(read, every=0.1):
            server.others_are_answered()
            assert max(worker.memory_info().rss for worker in server.workers) - memory < 30e6
            if ahead == 8:
                wait_until(lambda: server.count("slow_reader") == CROWD)
                assert all(connection.recv(1) for connection in slow)  # they are slow, and not too slow


HEAD = "POST {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\n{}\r\n"
SILENT = {
    "chunks": "Transfer-Encoding: chunked\r\n",
    "a length": "Content-Length: 65000\r\n",
    "too long": "Content-Length: 65537\r\n",
    "waits to be asked": "Content-Length: 100\r\nExpect: 100-continue\r\n",
    "waits to be asked, with chunks": "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
}


@pytest.mark.parametrize("path", ["/clients/", "/clients/import/"])
@pytest.mark.parametrize("framing", SILENT.values(), ids=SILENT)
def test_writers_that_send_no_body(server: Locked, path: str, framing: str) -> None:
    """They come with a key, and again when they are sent away."""
    kind = "text/csv" if "import" in path else "application/json"
    head = HEAD.format(path, server.key, kind, framing).encode()
    crowd: list[socket.socket] = []

    def come_again() -> None:
        for connection in list(crowd):
            with suppress(BlockingIOError):
                if not connection.recv(65536):
                    crowd.remove(connection)
                    connection.close()
        while len(crowd) < CROWD:
            crowd.append(server.connected())
            crowd[-1].sendall(head)
            crowd[-1].setblocking(False)

    come_again()
    with at_it(come_again, every=0.1):
        server.others_are_answered(1.5)
    for connection in crowd:
        connection.close()


def test_a_thousand_connections_that_drip(server: Locked) -> None:
    """From one address, which has so many at the most; others do not notice, and their own neighbours hardly."""

    def drip() -> None:
        for connection in crowd:
            with suppress(OSError):
                connection.send(b"x")

    refused = server.count("address")
    with ExitStack() as stack:
        crowd = [stack.enter_context(server.connected("127.0.0.2")) for _ in range(1000)]
        drip()
        with at_it(drip, every=0.5):
            wait_until(lambda: server.count("address") - refused >= 1000 - WORKERS * ADDRESSES)
            for worker in server.workers:
                held = [one for one in worker.net_connections() if one.raddr and one.raddr.ip == "127.0.0.2"]
                assert len(held) <= ADDRESSES
            server.others_are_answered()
            with server.connected("127.0.0.2") as neighbour:
                neighbour.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert everything(neighbour).startswith(b"HTTP/1.1 200 ")


def test_a_refusal_reaches_who_sends_before_they_read(server: Locked, books_engine: Engine) -> None:
    """As most libraries do; so the rest of their body is read, within bounds."""
    body = b"phone\n" + b"79120000001\n" * 400_000
    for path, headers, status in (
        ("/clients/import/", {"Content-Type": "text/csv"}, 401),
        ("/clients/import/", {"Content-Type": "image/png", "Authorization": f"Bearer {server.key}"}, 415),
        ("/clients/", {"Content-Type": "application/json", "Authorization": f"Bearer {server.key}"}, 413),
    ):
        for data in (body, iter([body[:100], body[100:]])):
            answer = requests.post(server.url + path, data=data, headers=headers, timeout=30)
            assert (answer.status_code, answer.json()["code"]) == (status, status)
            assert answer.headers["X-Request-ID"]
    with books_engine.connect() as connection:
        assert connection.scalar(text("select count(*) from clients")) == 0


def test_urgent_data_is_no_request(server: Locked) -> None:
    with server.connected() as connection:
        connection.send(b"!", socket.MSG_OOB)
        assert everything(connection) == b""
    server.others_are_answered(0.5)
