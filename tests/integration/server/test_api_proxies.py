"""The API behind a proxy: where it sends people, and whose address it sees."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from sandbox.processes import Processes
from tests.support.api_server import OPEN, Server
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_server_fixture",)

FROM_A_PROXY = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Prefix": "/notify",
}


class Behind(Server):
    """is_believing: whether we are a proxy to it."""

    is_believing: bool


@pytest.fixture(scope="module", params=["127.0.0.0/8,2001:db8::1", "10.0.0.1", ""])
def server(request: pytest.FixtureRequest, books_url: str) -> Iterator[Behind]:
    lines: list[str] = []
    with Processes(lambda _name, line: lines.append(line)) as processes:
        env = {**OPEN, "DATABASE_URL": books_url, "API_WORKERS": "1", "TRUSTED_PROXIES": request.param}
        processes.start("api", "api_service", env)
        server = Behind(processes, lines)
        server.is_believing = request.param.startswith("127")
        wait_until(lambda: requests.get(f"{server.url}/health/live", timeout=10).ok)
        yield server


def test_nobody_is_sent_to_another_host_or_scheme(server: Behind) -> None:
    for path, there in (("/clients", "/clients/"), ("/clients?page=2", "/clients/?page=2"), ("/", "/console/")):
        for headers in ({}, {"Host": "localhost:1"}, {"SCRIPT_NAME": "/x", "X-Script-Name": "/x"}):
            answer = requests.get(server.url + path, headers=headers, allow_redirects=False, timeout=30)
            assert (answer.status_code, answer.headers["Location"]) in ((308, there), (302, there))
        answer = requests.get(server.url + path, headers=FROM_A_PROXY, allow_redirects=False, timeout=30)
        assert answer.headers["Location"] == (f"/notify{there}" if server.is_believing else there)
    for path in ("//elsewhere.example/clients", "/%2Felsewhere.example/clients", "///elsewhere.example"):
        prepared = requests.Request("GET", server.url).prepare()
        prepared.url = server.url + path  # as it is
        found = requests.Session().send(prepared, allow_redirects=False, timeout=30)
        assert not found.headers.get("Location", "/").startswith("//")


def test_the_client_has_the_address_that_the_proxy_names(server: Behind) -> None:
    headers = {**FROM_A_PROXY, "Content-Length": "70000", "X-Request-ID": "forwarded"}
    assert requests.get(f"{server.url}/clients/", headers=headers, timeout=30).status_code == 413
    wait_until(lambda: server.events("refused"))
    client = "192.0.2.7" if server.is_believing else "127.0.0.1"
    assert server.events("refused")[-1]["address"] == client


def test_connections_are_counted_for_clients_and_not_for_the_proxy(
    processes: Processes, lines: list[str], database_url: str
) -> None:
    """A proxy may have any number; a client behind it only so many for which something is done."""
    env = {**OPEN, "DATABASE_URL": database_url, "API_WORKERS": "1", "API_CONNECTIONS": "2"}
    processes.start("api", "api_service", {**env, "TRUSTED_PROXIES": "127.0.0.1"})
    server = Server(processes, lines)
    head = "POST /clients/ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {}\r\nContent-Length: 9\r\n\r\n"
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30)) for _ in range(6)
        ]
        for connection, client in zip(connections, [1, 2, 1, 2, 1, 3], strict=True):
            connection.sendall(head.format(f"192.0.2.{client}").encode())
        [refused], _, _ = select.select(connections, [], [], 30)
        assert refused in connections[:5:2], "the first client's, of which the last to come is one too many"
        assert refused.recv(4096).startswith(b"HTTP/1.1 429 ")
        for connection in set(connections) - {refused}:
            connection.sendall(b"{}       ")
            assert connection.recv(4096).startswith(b"HTTP/1.1 415 ")

        def is_answered() -> bool:
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as another:
                another.sendall(head.format("192.0.2.1").encode() + b"{}       ")
                return another.recv(4096).startswith(b"HTTP/1.1 415 ")

        wait_until(is_answered)  # a connection counts until its thread knows that all of the answer is out


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.1/8", "10.0.0.1,", "10.0.0.0/33"])
def test_a_network_that_is_none(processes: Processes, lines: list[str], value: str) -> None:
    processes.start("api", "api_service", {"TRUSTED_PROXIES": value})
    assert processes.wait("api", 20) == 2
    assert lines == [
        "TRUSTED_PROXIES must be addresses or networks such as 10.0.0.5,192.168.0.0/16,2001:db8::/32"
        f" (it is {value!r})."
    ]
