"""`python -m sandbox.run` as a newcomer meets it: real processes from beginning to end."""

import signal
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from notification_client import ApiClient
from sandbox.processes import free_port
from shared import clock
from tests.support.command import Command

Start = Callable[..., Command]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def start(**settings: str) -> Command:
        started.append(Command("sandbox.run", tmp_path, {"API_PORT": "0"} | settings))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
        each.exit_code()


def _api(command: Command) -> ApiClient:
    return ApiClient(command.wait_for(r"Everything is up\. The API: (http://[\w.:]+)")[1])


def _stop(command: Command) -> None:
    processes = command.descendants()
    command.process.send_signal(signal.SIGINT)
    assert command.exit_code() == 0, command.output
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


def test_a_newcomers_mailing_goes_out_and_what_is_stored_stays(run: Start) -> None:
    command = run()
    with _api(command) as api:
        api.create_client("79123456789")
        now = clock.now()
        mailing_id = api.create_mailing("Hello.", now, now + timedelta(hours=1))["id"]
        deadline = monotonic() + 30
        while api.mailing(mailing_id)["statistics"]["sent"] == 0:
            assert monotonic() < deadline, command.output
            sleep(0.05)
    assert "PROVIDER_URL is not set" in command.output
    assert "embedded PostgreSQL" in command.output
    for name in ("api", "dispatcher", "reporter"):
        assert f"\n{name:<10} │ " in command.output
    _stop(command)
    assert "simulator  │ provider simulator: 1 requests, 1 accepted" in command.output
    again = run()
    with _api(again) as api:
        assert api.mailing(mailing_id)["statistics"]["sent"] == 1
    _stop(again)


def test_a_file_of_providers_is_what_is_used(run: Start, tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(
        f'[providers.own]\nurl = "http://127.0.0.1:{free_port()}/"\nform = {{ to = "{{phone}}", text = "{{text}}" }}\n'
        'rules = [{ outcome = "accepted" }]\nsenders = ["Shop"]\n'
    )
    command = run(PROVIDERS_FILE=str(file), LOG_LEVEL="error")
    with _api(command) as api:
        now = clock.now()
        assert api.create_mailing("Hello.", now, now + timedelta(hours=1), sender="Shop")["sender"] == "Shop"
    assert "PROVIDER_URL is not set" not in command.output
    _stop(command)


def test_a_provider_that_is_named_is_the_one_that_is_used(run: Start) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = run(PROVIDER_URL=url, LOG_LEVEL="error")
    _api(command).close()
    assert "simulator" not in command.output
    _stop(command)


def test_a_part_that_dies_is_reported_and_the_rest_is_stopped(run: Start) -> None:
    command = run()
    _api(command).close()
    processes = command.descendants()
    (dispatcher,) = (process for process in processes if process.cmdline()[-1:] == ["dispatcher_service"])
    dispatcher.kill()
    assert command.exit_code() == 1
    assert "dispatcher was ended by SIGKILL." in command.output
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


def test_a_part_that_does_not_start_says_why(run: Start) -> None:
    command = run(DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    assert command.exit_code() == 1
    assert "The schema could not be brought up to date." in command.output
    assert "Connection refused" in command.output


def test_a_setting_that_makes_no_sense_is_named_before_anything_starts(run: Start) -> None:
    command = run(REPORT_AT="noon")
    assert command.exit_code() == 2
    assert command.output.startswith("REPORT_AT must be a time of day")


def test_a_port_that_is_taken_is_named_before_anything_starts(run: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = run(API_PORT=str(port))
        assert command.exit_code() == 2
    assert command.output == f"API_PORT: something listens on port {port} already.\n"
