"""The processes of the API service: what dies is replaced, and nothing outlives its parent."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from sqlalchemy import Engine, text

from api_service.server.processes import GRACE
from notification_client import ApiClient, ApiError
from sandbox.processes import Processes, free_port
from tests.support.api_server import OPEN, WORKERS, Server
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_server_fixture",)


def family(server: Server) -> list[psutil.Process]:
    wait_until(lambda: len(psutil.Process(server.pid).children()) == WORKERS)
    return psutil.Process(server.pid).children()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_nothing_outlives_a_parent_that_is_killed(client: ApiClient, server: Server) -> None:
    children = family(server)
    server.processes.kill("api")
    wait_until(lambda: not any(child.is_running() for child in children))
    assert is_free(server.port)


def test_a_second_signal_ends_at_once(client: ApiClient, server: Server, engine: Engine) -> None:
    """A request that would have had its time to finish is cut off."""
    children = family(server)
    client.create_client("79120000001")
    with ThreadPoolExecutor(1) as pool, engine.connect() as connection:
        connection.execute(text("select 1 from clients for update"))
        answer = pool.submit(client.change_client, 1, tag="held up")
        wait_until(lambda: _is_waiting(engine))
        server.processes.send("api", signal.SIGTERM)
        wait_until(lambda: is_free(server.port))
        assert any(child.is_running() for child in children)
        began = time.monotonic()
        server.processes.send("api", signal.SIGINT)
        assert server.processes.wait("api", GRACE) == 0
        assert time.monotonic() - began < GRACE - 5
        connection.rollback()
        with pytest.raises(ApiError):
            answer.result(10)
    assert not any(child.is_running() for child in children)


def _is_waiting(engine: Engine) -> bool:
    query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with superuser(engine) as connection:
        return bool(connection.scalar(text(query)))


def test_a_connection_that_waits_is_taken_by_whoever_lives(client: ApiClient, server: Server) -> None:
    """One frozen process holds up only those whom it has taken."""
    frozen, _ = family(server)
    frozen.suspend()
    try:
        for number in range(20):
            with ApiClient(server.url, patience=0) as another:
                another.create_client(f"7912{number:07}")
    finally:
        frozen.resume()


def test_idle_connections_end_with_the_service(client: ApiClient, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        assert server.processes.stop("api", timeout=18) == 0
        assert time.monotonic() - began < 10
        assert idle.recv(4096) == b""


def test_a_port_that_is_taken(processes: Processes, lines: list[str]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        processes.start("api", "api_service", {**OPEN, "API_PORT": str(port), "DATABASE_URL": "postgresql:///none"})
        assert processes.wait("api", 30) == 2
    assert lines == [f"API_PORT {port} of 127.0.0.1 cannot be used: Address already in use."]
