"""Files of clients on their way through the server: slow ones, endless ones, and what dies under them."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import Engine, text

from api_service.directory import batch, importer
from api_service.directory.progress import Silence
from api_service.web import upload
from notification_client import ApiClient
from sandbox.processes import Processes
from tests.support.api import Api
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

CSV = {"Content-Type": "text/csv"}
HEAD = b"phone\n"


class Server:
    """One with a single worker, so that all requests meet in it."""

    def __init__(self, processes: Processes, database_url: str) -> None:
        env = {"DATABASE_URL": database_url, "API_PORT": "0", "API_WORKERS": "1", "LOG_FORMAT": "json"}
        env |= {"API_AUTH": "off", "API_RATE": "0"}
        processes.start("api", "api_service", env)
        match = processes.wait_line("api", r'"port": (\d+), "pid": (\d+)')
        self.port, self._pid = int(match[1]), int(match[2])
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def worker(self) -> psutil.Process:
        [worker] = psutil.Process(self._pid).children()
        return worker


@pytest.fixture(scope="module")
def server(books_url: str) -> Iterator[Server]:
    with Processes() as processes:
        yield Server(processes, books_url)


@pytest.fixture
def client(server: Server, books_engine: Engine) -> Iterator[ApiClient]:
    with superuser(books_engine) as connection:
        connection.execute(text("truncate clients, imports, import_clients, refused_lines restart identity"))
    with ApiClient(server.url) as client:
        client.wait_until_ready(20)
        yield client


def phones(first: int, last: int) -> bytes:
    return b"".join(b"%d\n" % (79_000_000_000 + number) for number in range(first, last))


def running(client: ApiClient, name: str, lines: int) -> dict[str, Any]:
    """The import of that name, once it has taken so many lines."""
    return dict(wait_until(lambda: next((one for one in client.imports(name) if one["lines"] >= lines), None)))


def stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("select count(*) from clients")) or 0)


def taken(engine: Engine, import_id: int) -> int:
    """How many clients it is known to have taken."""
    with engine.connect() as connection:
        of_import = text("select sum(cardinality(clients)) from import_clients where import_id = :id")
        return int(connection.scalar(of_import, {"id": import_id}) or 0)


def test_its_progress_shows_while_it_runs_and_it_holds_no_connection(client: ApiClient, books_engine: Engine) -> None:
    seen: list[dict[str, Any]] = []

    def holds_none() -> bool:
        with superuser(books_engine) as connection:  # nobody else sees what others are doing
            return not connection.scalar(_OPEN)

    def clients() -> Iterator[dict[str, str]]:
        for number in range(30_000):
            if number == 21_000:
                seen.append(running(client, "slow", batch.LINES))
                wait_until(holds_none)  # it has written what it got, and waits for the rest
            yield {"phone": f"7900{number:07}", "tag": "vip"}

    answer = client.import_clients(clients(), name="slow")
    [progress] = seen
    assert progress["state"] == "running"
    assert progress["ended_at"] is None
    assert batch.LINES <= progress["lines"] == progress["created"] < 30_000
    assert (answer["state"], answer["created"]) == ("finished", 30_000)
    assert client.client_import(progress["id"]) == answer
    assert [one["id"] for one in client.imports()] == [answer["id"]]
    assert stored(books_engine) == 30_000


_OPEN = text(
    "select count(*) from pg_stat_activity"
    " where application_name = 'api' and datname = current_database() and state like '%transaction%'"
)


def test_a_file_is_sent_as_it_is(client: ApiClient, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    file.write_bytes(HEAD + phones(0, 1000) + b"8\n")
    with file.open("rb") as source:
        answer = client.import_clients(source)
    assert (answer["created"], [error["line"] for error in answer["errors"]]) == (1000, [1002])


def test_memory_does_not_grow_with_the_file(client: ApiClient, server: Server) -> None:
    """Neither with the number of lines, nor of wrong ones, nor with the length of one."""

    def file() -> Iterator[bytes]:
        yield b"phone,tag\n"
        for number in range(0, 80_000, 1000):
            yield b"".join(b"%d,%064d\n" % (79_000_000_000 + one, one) for one in range(number, number + 1000))
        yield b"8\n" * 5_000
        for _ in range(300):
            yield b"x" * 200_000
        yield b"\n"

    def peak() -> float:
        return int(Path(f"/proc/{server.worker.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

    answers = []
    for _ in range(2):
        answer = requests.post(f"{server.url}/clients/import/", data=file(), headers=CSV, timeout=100).json()
        answers.append((answer["created"], answer["updated"], answer["refused"], peak()))
    assert [answer[:3] for answer in answers] == [(80_000, 0, 5_001), (0, 80_000, 5_001)]
    assert answers[1][3] < 120
    assert answers[1][3] < answers[0][3] + 15


def test_a_worker_that_is_killed_leaves_whole_batches(client: ApiClient, server: Server, books_engine: Engine) -> None:
    """With whom each took and what it refused; and the same file completes it. Somebody else gives the audit its line,
    once."""
    wrong = b"8\n" * 3_000

    def file() -> Iterator[bytes]:
        yield HEAD + phones(0, 5_000) + wrong + phones(5_000, 25_000)
        running(client, "killed", 10_000)
        victim = server.worker
        victim.kill()
        wait_until(lambda: not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE)
        yield phones(25_000, 40_000)

    headers = CSV | {"X-Request-ID": "killed-1"}
    with pytest.raises(requests.RequestException):
        requests.post(f"{server.url}/clients/import/?name=killed", data=file(), headers=headers, timeout=30)
    client.wait_until_ready(20)
    left = client.client_import(1)
    assert 10_000 <= left["lines"] == left["created"] + left["refused"] < 43_000
    assert left["created"] == stored(books_engine) == taken(books_engine, 1)
    assert left["refused"] == 3_000 == len(client.refused_lines(1).splitlines()) - 1
    with books_engine.begin() as connection:
        connection.execute(text("update imports set heard_at = now() - interval '3 min'"))
    for _ in range(2):
        Silence(books_engine, set).look()
    told = requests.get(f"{server.url}/audit/?action=import&thing_id=1&page_size=100", timeout=30).json()
    [line] = [one for one in told if one["request_id"] == "killed-1"]
    assert (line["by"], line["thing"]) == ("anybody", "clients")
    assert line["after"]["created"] == left["created"]
    assert line["after"]["failure"] == client.client_import(1)["failure"] == "The process that read it is gone."
    whole = iter([HEAD + phones(0, 25_000), wrong, phones(25_000, 40_000)])
    answer = requests.post(f"{server.url}/clients/import/", data=whole, headers=CSV, timeout=60)
    assert answer.status_code == 200, answer.text
    again = answer.json()
    assert (again["created"], again["updated"]) == (40_000 - left["created"], left["created"])
    assert stored(books_engine) == 40_000 == taken(books_engine, again["id"])


def test_imports_never_take_all_threads(client: ApiClient, server: Server) -> None:
    over = threading.Event()

    def file() -> Iterator[bytes]:
        yield HEAD + phones(0, 5_000)
        over.wait(30)

    def post(name: str, data: Any) -> requests.Response:
        return requests.post(f"{server.url}/clients/import/?name={name}", data=data, headers=CSV, timeout=60)

    with ThreadPoolExecutor(importer.AT_A_TIME) as pool:
        first = [pool.submit(post, f"open{number}", file()) for number in range(importer.AT_A_TIME)]
        for number in range(importer.AT_A_TIME):
            running(client, f"open{number}", 0)
        refused = post("one too many", HEAD)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert refused.json()["code"] == 429
        assert list(client.imports("one too many")) == []
        client.create_client("79260000000")
        over.set()
        assert [one.result().json()["lines"] for one in first] == [5_000] * importer.AT_A_TIME
    assert post("now", HEAD).status_code == 200


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 500000\r\n\r\n%s", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"],
    ids=["a length", "chunks"],
)
def test_an_upload_that_breaks_off(client: ApiClient, server: Server, framing: bytes) -> None:
    body = HEAD + phones(0, 20_000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = b"POST /clients/import/?name=broken HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n"
        connection.sendall(head + (framing % body if framing.count(b"%") == 1 else framing % (len(body), body)))
        running(client, "broken", 10_000)
    broken = wait_until(lambda: next((one for one in client.imports("broken") if one["state"] == "broken"), None))
    assert (broken["failure"], broken["refused"]) == ("The body broke off before its end.", 0)
    assert broken["ended_at"]


@pytest.mark.parametrize("path", ["/clients/import/", "/clients/"])
def test_chunks_that_make_no_sense(client: ApiClient, server: Server, path: str) -> None:
    kind = b"text/csv" if "import" in path else b"application/json"
    head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % (
        path.encode(),
        kind,
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head + b"6\r\nphone\n\r\nxyz\r\n")
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == 400


def test_a_file_that_is_too_large_changes_nothing(books_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_BYTES", 10)
    api = Api(books_engine)
    before = len(api.get("/clients/imports/"))
    answer = api("POST", "/clients/import/", data=HEAD + phones(0, 1), content_type="text/csv")
    assert (answer.status, answer.json["message"]) == (413, "The body has more than 0 MiB.")
    assert len(api.get("/clients/imports/")) == before
