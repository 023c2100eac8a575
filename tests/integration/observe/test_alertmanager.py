"""A real Alertmanager with the configuration of the deployment: who gets a mail, and what is not told beside it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from sandbox.processes import free_port
from tests.integration.observe.test_alerts import ALERTMANAGER, ALERTS
from tests.support.mailbox import Mailbox
from tests.support.server_process import ServerProcess, program
from tests.support.waiting import wait_until

START_SECONDS = 30.0


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@contextmanager
def _alertmanager(mailbox: Mailbox) -> Iterator[str]:
    """Its URL. It differs from that of the deployment in its mail server, and in that nobody waits."""
    config = yaml.safe_load(ALERTMANAGER.read_text("utf-8"))
    config["global"]["smtp_smarthost"] = f"127.0.0.1:{mailbox.port}"
    for route in (config["route"], *config["route"]["routes"]):
        route["group_wait"] = "0s"
    with tempfile.TemporaryDirectory(prefix="alertmanager-") as name:
        file, port = Path(name, "alertmanager.yml"), free_port()
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [
            str(program("prometheus-alertmanager", "prometheus-alertmanager")), f"--config.file={file}",
            f"--storage.path={name}/data", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        ]  # fmt: skip
        process, url = ServerProcess(command, Path(name, "output")), f"http://127.0.0.1:{port}"

        def is_ready() -> bool:
            with suppress(requests.ConnectionError):
                return requests.get(f"{url}/-/ready", timeout=5).ok
            return False

        try:
            process.wait_until(is_ready, START_SECONDS)
            yield url
        finally:
            process.kill()


def _alarm(name: str, **labels: str) -> dict[str, Any]:
    rule = ALERTS[name]
    return {"labels": {"alertname": name, **rule["labels"], **labels}, "annotations": rule["annotations"]}


def test_who_is_told_what_and_what_is_not_told_beside_it(mailbox: Mailbox) -> None:
    with _alertmanager(mailbox) as url:

        def fire(*alarms: dict[str, Any]) -> None:
            requests.post(f"{url}/api/v2/alerts", json=alarms, timeout=10).raise_for_status()

        def told() -> set[tuple[str, str]]:
            """To whom, and what: the first word of a subject names the state, the second the alarm."""
            return {(mail.recipients[0], mail.message["Subject"].split()[1]) for mail in mailbox.mails}

        fire(_alarm("ProviderDown", provider="gate", reason="unreachable"))
        wait_until(lambda: told() == {("on-call@localhost", "ProviderDown")})
        [mail] = mailbox.mails
        for where in ("runbook_url", "dashboard_url"):
            assert ALERTS["ProviderDown"]["annotations"][where] in mail.part("html")
        fire(_alarm("SuccessShareLow", provider="gate"), _alarm("SuccessShareLow", provider="other"))
        wait_until(lambda: ("operators@localhost", "SuccessShareLow") in told())
        shown = requests.get(f"{url}/api/v2/alerts", timeout=10).json()
        silent = {one["labels"]["provider"] for one in shown if one["status"]["inhibitedBy"]}
        assert silent == {"gate"}, "it follows from the provider's being down"
        assert len(mailbox.mails) == 2
        assert "gate" not in mailbox.mails[1].message["Subject"]
