"""Lists as files, from a server as it is deployed: what whoever takes them slowly costs, and how a cut one is told."""

import io
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import Engine, text

from api_service.server.limits import THREADS
from api_service.web.export import AT_A_TIME
from notification_client import ApiClient, ApiError
from sandbox.processes import Processes
from tests.support.api_server import OPEN, Server
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

CLIENTS = 400_000
FEW = 40_000
"""Of these with an operator code of their own."""
END = b"0\r\n\r\n"
ASK = b"GET /clients/?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(books_url: str, books_engine: Engine) -> Iterator[Server]:
    with superuser(books_engine) as connection:
        connection.execute(text("truncate clients"))
        connection.execute(text(_CLIENTS), {"count": CLIENTS, "few": FEW})
    lines: list[str] = []
    with Processes(lambda _name, line: lines.append(line)) as processes:
        processes.start("api", "api_service", {**OPEN, "DATABASE_URL": books_url, "API_WORKERS": "1"})
        server = Server(processes, lines)
        wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=10).ok)
        yield server
    with superuser(books_engine) as connection:
        connection.execute(text("truncate clients"))


_CLIENTS = """
    insert into clients (phone, operator_code, tag, timezone)
    select 79000000000 + n, case when n <= :few then '901' else '900' end, repeat('x', 64), 'Europe/Moscow'
    from generate_series(1, :count) n
"""


def asked(server: Server, stack: ExitStack) -> socket.socket:
    """A connection that has asked for all clients and reads nothing."""
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(ASK)
    return connection


def rest(connection: socket.socket) -> tuple[int, bytes]:
    """How many bytes come until the last chunk, or the end of the connection; and the last of them."""
    number, tail = 0, b""
    while not tail.endswith(END):
        piece = connection.recv(1 << 20)
        if not piece:
            break
        number, tail = number + len(piece), (tail + piece)[-100:]
    return number, tail


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def test_a_whole_one_has_an_end_and_costs_little_memory(server: Server) -> None:
    [worker] = workers(server)
    before = worker.memory_info().rss
    with ExitStack() as stack:
        number, tail = rest(asked(server, stack))
    assert tail.endswith(END)
    assert number > CLIENTS * 100
    assert worker.memory_info().rss - before < 50e6


def test_what_each_thread_has_made_is_not_kept_by_each(server: Server) -> None:
    """One after the other had 20 MB of its own, of which nothing went back."""
    [worker] = workers(server)
    before = worker.memory_info().rss
    for _ in range(2 * THREADS):
        page = requests.get(f"{server.url}/clients/?format=json&operator_code=901", timeout=30)
        assert len(page.content) > FEW * 100
    assert worker.memory_info().rss - before < 50e6


def test_who_reads_nothing_holds_no_transaction_keeps_nobody_waiting_and_is_given_up(
    server: Server, books_engine: Engine
) -> None:
    with ExitStack() as stack:
        silent = [asked(server, stack) for _ in range(AT_A_TIME)]
        for connection in silent:
            assert connection.recv(16).startswith(b"HTTP/1.1 200 ")
        assert requests.get(f"{server.url}/clients/?format=csv", timeout=10).status_code == 429
        assert requests.get(f"{server.url}/clients/", timeout=10).status_code == 200
        wait_until(lambda: not _busy(books_engine))
        wait_until(lambda: 'api_refused_total{reason="slow_reader"} 2.0' in server.metrics(), 40)
        wait_until(lambda: requests.get(f"{server.url}/clients/?format=csv&tag=a", timeout=10).status_code == 200)


def _busy(engine: Engine) -> int:
    """Sessions of the API in which something goes on."""
    with engine.connect() as connection:
        return int(connection.execute(text(_BUSY)).scalar_one())


_BUSY = "select count(*) from pg_stat_activity where application_name like 'api%' and state <> 'idle'"


def test_one_whose_server_dies_has_no_end(server: Server) -> None:
    with ExitStack() as stack:
        connection = asked(server, stack)
        assert connection.recv(16)
        [worker] = workers(server)
        os.kill(worker.pid, signal.SIGKILL)
        try:
            number, tail = rest(connection)
        except ConnectionResetError:
            number, tail = 0, b""
        assert not tail.endswith(END)
        assert number < CLIENTS * 100
    wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=10).ok)
    with ApiClient(server.url) as client, pytest.raises(ApiError, match="broke off"):  # as any library tells
        client.export_clients(_Killing(server), "ndjson")
    wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=10).ok)


class _Killing(io.BytesIO):
    """Whoever writes to it has their server killed."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._workers = workers(server)

    def write(self, data: Any) -> int:
        while self._workers:
            os.kill(self._workers.pop().pid, signal.SIGKILL)
        return super().write(data)


def test_the_typed_client_takes_a_file_and_gives_it_back(server: Server) -> None:
    file = io.BytesIO()
    with ApiClient(server.url) as client:
        client.export_clients(file, phone="79000000001")
        assert file.getvalue().count(b"\r\n") == 2
        file.seek(0)
        answer = client.import_clients(file)
        assert (answer["updated"], answer["refused"]) == (1, 0)
        file = io.BytesIO()
        with pytest.raises(ApiError) as raised:
            client.export_messages(77, file)
        assert (raised.value.status, file.getvalue()) == (404, b"")
