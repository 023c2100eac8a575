"""`python -m sandbox.demo` as a newcomer meets it: real processes from beginning to end."""

import re
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import requests

from notification_client import ApiClient
from shared import clock
from tests.support.command import Command
from tests.support.waiting import wait_until

Start = Callable[..., Command]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def start(terminal: bool = False, **settings: str) -> Command:
        started.append(Command("sandbox.demo", tmp_path, settings, terminal=terminal))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
        each.exit_code()


def _nothing_is_left(processes: list[psutil.Process], data_dir: Path) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []
    assert list(data_dir.iterdir()) == []


def _shown(state: str, run: Command) -> int:
    """The number of messages in that state, from the ledger that the demo prints at its end."""
    (number,) = re.findall(rf"^  {state} +(\d+)", run.output, re.MULTILINE)
    return int(number)


def test_every_message_is_accounted_for(demo: Start, tmp_path: Path) -> None:
    run = demo(DEMO_CLIENTS="300")
    run.wait_for("A mailing to all of them")
    processes = run.descendants()
    assert len(processes) >= 5
    assert run.exit_code() == 0, run.output
    assert "Clients from the real numbering plan: 300," in run.output
    assert "The provider goes away for 3 s." in run.output
    assert re.search(r"audience +300\n", run.output)
    assert re.search(r"sent +297\n", run.output)
    # A call that the outage cut off may have been delivered: refused afterwards, its message ends as unknown.
    assert _shown("failed", run) + _shown("unknown", run) == 3
    assert re.search(r"Σ states +300 +balanced\n", run.output)
    assert re.search(r"accepted +297\n", run.output)
    assert "The ledger balances, and every message is accounted for." in run.output
    assert "/docs/" not in run.output  # it does not stay where nobody watches
    assert len(re.findall(r"^ +\d+ s  pending", run.output, re.MULTILINE)) >= 3
    _nothing_is_left(processes, tmp_path)


def test_in_a_terminal_the_api_stays_up_until_ctrl_c(demo: Start, tmp_path: Path) -> None:
    run = demo(terminal=True, DEMO_CLIENTS="1", DATABASE_URL="postgresql://of-the-shell/", BROKER_URL="amqp://none")
    told = run.wait_for(r"until Ctrl-C\. The console: (http://\S+/console/), the API: (http://\S+/docs/)")
    processes = run.descendants()
    assert "swagger" in requests.get(told[2], timeout=10).text.lower()
    shown = requests.get(f"{told[1]}mailings/", headers={"Accept-Language": "en"}, timeout=10)
    assert "Finished" in shown.text
    told = run.wait_for(r"asks for keys: (http://\S+)/docs/ with (nsk_\S+)")
    now = clock.now()
    with ApiClient(told[1], key=told[2]) as api:
        mailing_id = api.create_mailing("Just a try", now, now + timedelta(minutes=10), tags=["try"])["id"]
        wait_until(lambda: api.detail(mailing_id)["sent"] >= 3)
        assert api.detail(mailing_id)["test"]
        assert api.statistics()["audience"] == 7
    run.process.send_signal(signal.SIGINT)
    assert run.exit_code() == 0, run.output
    _nothing_is_left(processes, tmp_path)


@pytest.mark.parametrize("moment", ["Starting", "A mailing to all of them"])
def test_ctrl_c_cleans_up_at_any_time(demo: Start, tmp_path: Path, moment: str) -> None:
    run = demo(DEMO_CLIENTS="3000")
    run.wait_for(moment)
    processes = run.descendants()
    run.process.send_signal(signal.SIGINT)
    assert run.exit_code() == 130, run.output
    assert "Traceback" not in run.output
    _nothing_is_left(processes, tmp_path)


def test_a_part_that_dies_is_a_failure_that_says_so(demo: Start, tmp_path: Path) -> None:
    run = demo(DEMO_CLIENTS="3000")
    run.wait_for("A mailing to all of them")
    processes = run.descendants()
    (dispatcher,) = (process for process in processes if process.cmdline()[-1:] == ["dispatcher_service"])
    dispatcher.kill()
    assert run.exit_code() == 1
    assert "dispatcher was ended by SIGKILL." in run.output
    log = Path(re.findall(r"What the processes said: (\S+)", run.output)[0])
    assert "dispatcher_started" in log.read_text(encoding="utf-8")
    assert list(tmp_path.rglob("*")) == [tmp_path / "demo", log]
    psutil.wait_procs(processes, timeout=30)


@pytest.mark.parametrize("text", ["0", "1000001", "many", "-5", "1e3", "٣"])
def test_a_size_that_makes_no_sense_is_refused(demo: Start, text: str) -> None:
    run = demo(DEMO_CLIENTS=text)
    assert run.exit_code() == 2
    assert run.output.startswith("DEMO_CLIENTS must be a whole number from 1 to 1000000")
