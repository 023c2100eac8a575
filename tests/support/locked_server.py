"""The API service as it is deployed, locked: it opens to keys alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import requests
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from api_service.access import store
from api_service.web import key
from api_service.web.key import Scope, Token
from sandbox.processes import Processes
from tests.support.api_server import Server
from tests.support.waiting import wait_until


def make_key(engine: Engine, scope: Scope, expires_at: datetime | None = None) -> Token:
    token = key.new()
    with Session(engine) as session, session.begin():
        store.stored(session, token, f"for {scope}", scope, expires_at)
    return token


def bearer(token: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def locked_server(database_url: str, **settings: str) -> Iterator[Server]:
    """Ready, of one process. There must be a key."""
    lines: list[str] = []
    env = {"API_PORT": "0", "API_RATE": "0", "API_WORKERS": "1", "LOG_FORMAT": "json", "DATABASE_URL": database_url}
    with Processes(lambda _name, line: lines.append(line)) as processes:
        processes.start("api", "api_service", env | settings)
        server = Server(processes, lines)
        wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=10).status_code == 200)
        yield server
