"""For a test module: `pytest_plugins = ("tests.support.api_server_fixture",)`, and then the fixtures by name."""

from collections.abc import Iterator

import pytest

from notification_client import ApiClient
from sandbox.processes import Processes
from tests.support.api_server import OPEN, WORKERS, Server


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def processes(lines: list[str]) -> Iterator[Processes]:
    with Processes(lambda _name, line: lines.append(line)) as processes:
        yield processes


@pytest.fixture
def server(processes: Processes, lines: list[str], database_url: str) -> Server:
    env = {**OPEN, "DATABASE_URL": database_url, "API_WORKERS": str(WORKERS)}
    processes.start("api", "api_service", env)
    return Server(processes, lines)


@pytest.fixture
def client(server: Server) -> Iterator[ApiClient]:
    with ApiClient(server.url) as client:
        client.wait_until_ready(20)
        yield client
