"""The API service as it is deployed: several processes, settings from the environment."""

import json
import re
import signal
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import Engine, text

from api_service.web.body import MAX_BYTES
from notification_client import ApiClient, ApiError
from sandbox.processes import Processes
from shared import clock
from shared.broker.topology import LAUNCH
from shared.domain.job import LaunchJob
from shared.version import VERSION
from tests.support.api_server import OPEN, WORKERS, Server
from tests.support.declared_metrics import counters_missing
from tests.support.superuser import superuser
from tests.support.waiting import wait_until

pytest_plugins = ("tests.support.api_server_fixture",)

HOUR = timedelta(hours=1)


def test_a_mailing_from_its_creation_to_its_end(client: ApiClient, engine: Engine) -> None:
    phones = [f"7912{number:07}" for number in range(250)]
    made = list(client.create_clients({"phone": phone, "tag": "vip"} for phone in phones))
    assert [one["phone"] for one in made] == phones
    assert sorted(one["phone"] for one in client.clients()) == phones
    assert client.change_client(made[0]["id"], tag="")["tag"] == ""
    assert client.client(made[0]["id"])["tag"] == ""

    segment_id = client.create_segment("Reachable", {"exclude": {"attributes": {"left": [True]}}})["id"]
    assert client.segment(segment_id)["count"] == len(phones)
    assert client.change_segment(segment_id, name="Here")["name"] == "Here"
    assert [one["id"] for one in client.segments("Here")] == [segment_id]

    now = clock.now()
    mailing = client.create_mailing(
        *("Hello", now, now + HOUR),
        tags=["vip"],
        segments=[segment_id],
        exclude={"tags": ["new"]},
        send_window=("00:00", "23:59"),
    )
    mailing_id = mailing["id"]
    assert mailing["fixed_segments"] == [{"id": segment_id, "name": "Here", "revision": 2}]
    assert (mailing["state"], mailing["send_window"]) == ("running", {"from": "00:00", "until": "23:59"})
    assert _announced(engine) == [mailing_id]
    assert client.pause(mailing_id)["state"] == "paused"
    assert client.resume(mailing_id)["state"] == "running"
    later = now + 2 * HOUR
    assert client.change_mailing(mailing_id, ends_at=later)["ends_at"] == later.isoformat()
    assert [one["id"] for one in client.mailings()] == [mailing_id]
    assert client.statistics()["mailings"][0]["mailing_id"] == mailing_id
    assert client.detail(mailing_id)["audience"] == 0
    assert list(client.messages(mailing_id)) == []
    assert list(client.messages_with(mailing_id, error="rejected")) == []
    assert list(client.messages_with(mailing_id, receipt="undelivered")) == []
    assert client.cancel(mailing_id) == client.mailing(mailing_id)
    client.delete_mailing(mailing_id)
    client.delete_segment(segment_id)
    client.delete_client(made[0]["id"])
    with pytest.raises(ApiError) as error:
        client.mailing(mailing_id)
    assert error.value.status == 404
    assert error.value.body["message"] == f"There is no mailing {mailing_id}."


def test_a_file_of_the_console_may_be_larger_than_other_bodies(client: ApiClient, server: Server) -> None:
    table = "phone,city\n" + "".join(f"7912{number:07},Омск\n" for number in range(5000))
    assert len(table) > MAX_BYTES
    files = {"form_token": (None, ""), "what": (None, "take"), "file": ("clients.csv", table)}
    answer = requests.post(f"{server.url}/console/imports/", files=files, allow_redirects=False, timeout=30)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/imports/1/")
    assert requests.get(f"{server.url}/clients/imports/1/", timeout=30).json()["created"] == 5000


def test_so_may_one_of_phones_that_must_not_be_written_to(client: ApiClient, server: Server) -> None:
    table = "phone\n" + "".join(f"7912{number:07}\n" for number in range(6000))
    assert len(table) > MAX_BYTES
    files = {"form_token": (None, ""), "file": ("stop\0.csv", table)}
    answer = requests.post(f"{server.url}/console/suppressions/files/", files=files, allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/suppressions/files/1/")
    assert client.suppression_file(1)["created"] == 6000


def _announced(engine: Engine) -> list[int]:
    """What the broker holds, once it holds anything."""

    def jobs() -> list[bytes]:
        with engine.connect() as connection:
            query = text("select body from broker_jobs where queue = :queue")
            return [bytes(body) for body in connection.scalars(query, {"queue": LAUNCH})]

    wait_until(jobs)
    return [LaunchJob.decode(body).mailing_id for body in jobs()]


def test_the_same_phone_at_the_same_time(client: ApiClient) -> None:
    def create(_: int) -> int:
        try:
            client.create_client("79120000001")
        except ApiError as error:
            return error.status
        return 201

    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(create, range(64)))
    assert statuses == [201] + [409] * 63


def test_metrics_are_those_of_all_processes(client: ApiClient, server: Server) -> None:
    wait_until(lambda: len(psutil.Process(server.pid).children()) == WORKERS)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: requests.get(f"{server.url}/clients/", timeout=10), range(40)))
    sample = 'api_requests_total{endpoint="/clients/",method="GET",status="200"} 40.0'
    for _ in range(6):  # whichever process answers
        assert sample in server.metrics()
    assert "dispatcher_" not in server.metrics()
    assert f'service_info{{version="{VERSION}"}} 1.0' in server.metrics()
    assert requests.get(f"{server.url}/metrics", timeout=10).status_code == 404


def test_what_has_not_happened_yet_is_counted_as_none(server: Server) -> None:
    """Of every endpoint: the first failure is an increase, too."""
    metrics = server.metrics()
    assert 'api_requests_total{endpoint="/mailings/<id:mailing_id>/",method="PATCH",status="503"} 0.0' in metrics
    assert counters_missing(metrics, "api_", "messages_") == {"api_receipts_total"}, "nobody sends any here"


def test_a_process_that_dies_is_replaced_and_its_metrics_stay(client: ApiClient, server: Server) -> None:
    client.create_client("79120000001")
    master = psutil.Process(server.pid)
    wait_until(lambda: len(master.children()) == WORKERS)
    victims = master.children()
    for victim in victims:
        victim.kill()
    wait_until(lambda: len(set(master.children()) - set(victims)) == WORKERS)
    client.wait_until_ready(20)
    assert len(list(client.clients())) == 1
    metrics = server.metrics()
    assert 'api_requests_total{endpoint="/clients/",method="POST",status="201"} 1.0' in metrics


def test_what_is_no_proper_request_is_refused_in_the_same_shape(client: ApiClient, server: Server) -> None:
    for path, headers, status in ((f"/{'a' * 9000}", {}, 414), ("/", {"X-Long": "a" * 9000}, 431)):
        answer = requests.get(server.url + path, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (status, status)
        assert answer.json().keys() == {"type", "code", "status", "message", "errors"}
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b'"code": 400' in received
    assert client.ready()


def test_a_body_in_chunks_is_limited_too(server: Server, client: ApiClient) -> None:
    body = b'{"phone": "79120000001"}'.ljust(64 * 1024)
    for extra, status in ((0, 201), (1, 413), (200_000, 413)):
        chunks = iter([body[:100], body[100:], b" " * extra])
        headers = {"Content-Type": "application/json"}
        answer = requests.post(f"{server.url}/clients/", data=chunks, headers=headers, timeout=10)
        assert answer.status_code == status
        assert status == 201 or answer.json()["code"] == status


def test_the_log_has_one_line_per_request_and_no_phone(client: ApiClient, server: Server) -> None:
    url = f"{server.url}/clients/"
    for _ in range(2):
        requests.post(url, json={"phone": "79123456789"}, headers={"X-Request-ID": "mine"}, timeout=10)
    requests.get(f"{url}?phone=79123456789", timeout=10)
    wait_until(lambda: len(server.events("request")) >= 3)
    made, refused, listed = server.events("request")
    wanted = {"method": "POST", "path": "/clients/", "request_id": "mine", "service": "api"}
    assert made.items() >= {**wanted, "status": 201, "client_id": 1}.items()
    assert refused.items() >= {**wanted, "status": 409}.items()
    assert listed.items() >= {"method": "GET", "path": "/clients/", "status": 200}.items()
    assert isinstance(made["ms"], float)
    assert "3456789" not in "".join(server.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_and_leaves_nothing_behind(
    client: ApiClient, server: Server, number: signal.Signals
) -> None:
    family = psutil.Process(server.pid).children()
    assert server.processes.stop("api", number, timeout=18) == 0
    assert not any(child.is_running() for child in family)
    assert not list(Path(tempfile.gettempdir()).glob(f"notification-api-{server.pid}-*"))
    assert all(json.loads(line)["level"] in ("info", "debug") for line in server.lines)


def test_it_removes_what_one_that_was_killed_left_behind_and_nothing_else(
    processes: Processes, database_url: str, tmp_path: Path
) -> None:
    env = {**OPEN, "DATABASE_URL": database_url, "API_WORKERS": "1", "TMPDIR": str(tmp_path)}
    for name in ("killed", "running", "last"):
        processes.start(name, "api_service", env)
        processes.wait_line(name, '"metrics_port": ')
        if name == "killed":
            processes.kill(name)
            assert list(tmp_path.glob("notification-api-*/*")), "it has left something"
    owners = {int(directory.name.split("-")[2]) for directory in tmp_path.glob("notification-api-*")}
    assert owners == {processes.pid("running"), processes.pid("last")}


def test_a_request_under_way_is_answered_before_it_stops(client: ApiClient, server: Server, engine: Engine) -> None:
    now = clock.now()
    mailing_id = client.create_mailing("Hello", now + HOUR, now + 2 * HOUR)["id"]
    with ThreadPoolExecutor(1) as pool, engine.connect() as connection:
        connection.execute(text("select 1 from mailings for update"))
        answer = pool.submit(client.pause, mailing_id)
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )

        def is_waiting() -> bool:
            with superuser(engine) as look:
                return bool(look.scalar(text(waiting)))

        wait_until(is_waiting)
        server.processes.send("api", signal.SIGTERM)
        wait_until(lambda: not _listens(server))
        connection.rollback()
        assert answer.result(10)["state"] == "paused"
    assert server.processes.wait("api", 10) == 0


def _listens(server: Server) -> bool:
    connections = psutil.Process(server.pid).net_connections()
    return any(one.status == "LISTEN" and one.laddr.port == server.port for one in connections)


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"API_PORT": "http"}, "API_PORT must be a whole number from 0 to 65535 (it is 'http')."),
        ({"API_WORKERS": "0"}, "API_WORKERS must be a whole number from 1 to 64 (it is '0')."),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL must be a URL of the form postgresql://… or postgres://…."),
        (
            {"DEFAULT_TIMEZONE": "Mars"},
            "DEFAULT_TIMEZONE must be an IANA time zone such as Europe/Moscow (it is 'Mars').",
        ),
    ],
)
def test_settings_that_make_no_sense(
    processes: Processes, lines: list[str], env: dict[str, str], sentence: str
) -> None:
    processes.start("api", "api_service", env)
    assert processes.wait("api", 20) == 2
    assert lines == [sentence]


def test_it_starts_before_its_database(processes: Processes, lines: list[str], tmp_path: Path) -> None:
    env = {**OPEN, "DATABASE_URL": f"postgresql:///none?host={tmp_path}"}
    processes.start("api", "api_service", env)
    server = Server(processes, lines)
    with ApiClient(server.url, patience=0) as client:
        wait_until(lambda: requests.get(f"{server.url}/health/live", timeout=10).ok)
        assert not client.ready()
        with pytest.raises(ApiError) as error:
            client.mailing(1)
        assert error.value.status == 503


@pytest.mark.parametrize("listens", [True, False], ids=["hangs", "is down"])
def test_a_broker_that_costs_nobody_anything(
    processes: Processes, lines: list[str], database_url: str, listens: bool
) -> None:
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        if listens:
            broker.listen()  # the kernel takes the connection; nobody ever says a word
        url = f"amqp://guest:guest@127.0.0.1:{broker.getsockname()[1]}/"
        env = {**OPEN, "DATABASE_URL": database_url, "BROKER_URL": url}
        processes.start("api", "api_service", env)
        server = Server(processes, lines)
        with ApiClient(server.url) as client:
            wait_until(lambda: requests.get(f"{server.url}/health/live", timeout=10).ok)
            begun, now = clock.ticks(), clock.now()
            for _ in range(5):
                assert client.create_mailing("Hello", now, now + HOUR)["state"] == "running"
            assert clock.ticks() - begun < 5
            begun = clock.ticks()
            ready = requests.get(f"{server.url}/health/ready", timeout=10)
            assert (ready.status_code, ready.json()) == (200, {"database": "ok", "broker": "down"})
            assert clock.ticks() - begun < 8
        wait_until(lambda: 'api_dependency_up{dependency="broker"} 0.0' in server.metrics())
        wait_until(lambda: 'api_dependency_up{dependency="database"} 1.0' in server.metrics())
        for reason in ("forged", "full"):  # there before the first one, which would be no increase otherwise
            assert f'api_refused_total{{reason="{reason}"}} 0.0' in server.metrics()
        [started] = re.findall(r"^process_start_time_seconds (\S+)$", server.metrics(), re.MULTILINE)
        assert abs(float(started) - time.time()) < 120
        assert processes.stop("api", timeout=10) == 0


def test_with_nothing_but_a_directory_it_brings_its_own_database(processes: Processes, lines: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="notify-") as directory:
        env = {**OPEN, "DATA_DIR": directory}
        for phones in (["79120000001"], ["79120000001", "79120000002"]):
            processes.start("api", "api_service", env)
            server = Server(processes, lines)
            with ApiClient(server.url) as client:
                client.wait_until_ready(20)
                client.create_client(phones[-1])
                assert [one["phone"] for one in client.clients()] == phones
            assert processes.stop("api") == 0
            lines.clear()
            assert not (Path(directory) / "postgres" / "postmaster.pid").exists()
