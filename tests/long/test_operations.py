"""The pages of docs/operations/, command by command on a machine of their own, while a mailing goes out."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import psycopg2
import pytest
import requests

from notification_client import ApiClient
from sandbox import directory, numbering
from shared import clock
from shared.domain.message import OPEN_STATES
from tests.e2e.system import is_over
from tests.support.machine import PAGES, ROOT, Machine, machine
from tests.support.page import Page, run
from tests.support.rabbitmq import Private
from tests.support.server_process import program
from tests.support.waiting import wait_until

CLIENTS = 40_000
"""More than go out, at RATE, while a page is read."""

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
EXPOSED = 15
"""Tenths of what `systemd-analyze security` counts up to 10, at the most."""

NOT_RUN = {
    "systemd-sysusers": "it would make a user of this machine",
    "journalctl": "systemd is not the first process here",
}


@pytest.fixture(scope="module")
def installed(private_rabbitmq: Private) -> Iterator[Machine]:
    """The first page was read."""
    with machine(private_rabbitmq) as made:
        for section in ("Install", "Settings", "Start", "Logs"):
            made.take("systemd.md", section)
        directory.fill(made.values["OWNER"], list(islice(numbering.clients(CLIENTS), CLIENTS)))
        yield made


@pytest.fixture
def api(installed: Machine) -> Iterator["Api"]:
    with closing(Api(installed)) as made:
        yield made
    assert {one.code for one in installed.systemctl.ended} <= {0}, "what was stopped did not end well, or not in time"


class Api:
    """The API of a machine, whatever becomes of its key."""

    def __init__(self, made: Machine) -> None:
        self._machine = made
        self._clients: list[ApiClient] = []

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def __call__(self) -> ApiClient:
        key = Path(self._machine.values["ETC"], "secrets", "first-key").read_text("utf-8").strip()
        client = ApiClient(f"http://{self._machine.values['API']}", key=key)
        self._clients.append(client)
        return client

    def _accepted(self) -> Counter[int]:
        """How often each message was taken, by either provider."""
        counts: Counter[int] = Counter()
        for simulator in (self._machine.first, self._machine.second):
            counts.update({message_id: one.count for message_id, one in simulator.accepted().items()})
        return counts

    def sending(self) -> None:
        """Returns when more is sent than was until now."""
        before = self._number()
        wait_until(lambda: self._number() > before + 20)

    def _number(self) -> int:
        return self._machine.first.summary().accepted + self._machine.second.summary().accepted

    @contextmanager
    def mailing(self) -> Iterator[None]:
        """One goes out while the block lasts. In the end each message was sent once, or cancelled and never sent."""
        now, earlier = clock.now(), max(self._accepted(), default=0)
        mailing_id = self().create_mailing("The doors open at noon.", now, now.replace(year=now.year + 1))["id"]
        self.sending()
        yield
        self.sending()
        self().cancel(mailing_id)
        wait_until(lambda: is_over(self().detail(mailing_id, page_size=1)))
        figures = self().detail(mailing_id, page_size=1)
        assert figures["sent"] + figures["cancelled"] + figures["skipped"] == figures["audience"] == CLIENTS, figures
        assert not any(figures[state] for state in OPEN_STATES)
        sent = {message["id"] for message in self().messages(mailing_id, status="sent")}
        assert {id: count for id, count in self._accepted().items() if id > earlier} == dict.fromkeys(sent, 1)


def test_it_is_installed_and_logs_are_rotated(installed: Machine, api: Api) -> None:
    values = installed.values
    with api.mailing():
        log = Path(values["LOGS"], "notification-api.log")
        before = log.read_bytes()
        assert b'"event": "request"' in before
        rotate = f"logrotate --force --state {values['LOGS']}/state {values['LOGROTATE']}/notification-service"
        run(rotate, Path("/"), [installed.programs])
        assert log.with_name(f"{log.name}.1").read_bytes().startswith(before)
        wait_until(lambda: api().statistics() and log.stat().st_size)
        assert log.read_bytes().startswith(b"{"), "from its beginning on"


def test_nginx_stands_before_it(installed: Machine) -> None:
    installed.take("nginx.md", "Set it up")
    site, authority = installed.values["SITE"], str(installed.authority)
    assert requests.get(f"{site}/health/ready", verify=authority, timeout=30).ok


def test_keys_passwords_and_providers_are_changed_while_a_mailing_goes_out(installed: Machine, api: Api) -> None:
    values, etc = installed.values, Path(installed.values["ETC"])
    with api.mailing():
        old = (etc / "secrets" / "first-key").read_text("utf-8").strip()
        installed.take("changes.md", "A key of the API")
        refused = {"Authorization": f"Bearer {old}"}
        wait_until(
            lambda: requests.get(f"http://{values['API']}/keys/", headers=refused, timeout=10).status_code == 401
        )

        phone = next(api().clients())["phone"]
        api().suppress(phone)
        said = installed.take("changes.md", "The key of suppressed phones")
        assert "No older key is needed any more." in said
        assert api().suppression(phone), "found by the new key alone"
        assert "'2:" in (etc / "api.env").read_text("utf-8")
        api.sending()

        installed.take("changes.md", "Passwords of PostgreSQL")
        api.sending()
        installed.take("changes.md", "The password of RabbitMQ")
        api.sending()

        renewed = renewals(installed)
        installed.take("changes.md", "The provider's token")
        wait_until(lambda: renewals(installed) == renewed + 2)
        installed.take("changes.md", "Another provider")
        wait_until(installed.second.accepted)
        wait_until(lambda: goes_nowhere_but_to_the_second(installed, api))
        installed.take("changes.md", "The rate")
        api.sending()
        assert all("DISPATCH_RATE='200'" in (etc / f"{name}.env").read_text("utf-8") for name in ("api", "dispatcher"))


def renewals(installed: Machine) -> int:
    logs = Path(installed.values["LOGS"]).glob("notification-dispatcher@*.log")
    return sum(log.read_text("utf-8").count('"secrets_renewed"') for log in logs)


def goes_nowhere_but_to_the_second(installed: Machine, api: Api) -> bool:
    before = installed.first.summary().accepted
    api.sending()
    return installed.first.summary().accepted == before


def test_another_version_is_taken_into_use_and_back_while_a_mailing_goes_out(installed: Machine, api: Api) -> None:
    with api.mailing():
        for section in ("Beside the one in use", "One after the other", "Back", "Where all processes have to stop"):
            installed.take("upgrades.md", section)
            api.sending()
    assert Path(installed.values["BACKUP"]).stat().st_size > 0


def test_another_postgresql_is_taken_into_use_in_mid_mailing(installed: Machine, api: Api) -> None:
    values = installed.values
    with api.mailing():
        for section, url in (("pg_upgrade", values["OWNER"]), ("Dump and restore", f"{values['OTHER_OWNER']}/notify")):
            installed.take("postgresql.md", section)
            api.sending()
            with closing(psycopg2.connect(url)) as connection:
                assert connection.server_version >= 180_000


def test_every_command_of_the_pages_is_run_or_said_not_to_be() -> None:
    said = (PAGES / "README.md").read_text("utf-8")
    source = Path(__file__).read_text("utf-8")
    for path in PAGES.glob("*.md"):
        if path.name == "README.md":
            continue
        page = Page(path)
        assert page.words <= {"sh", "sh systemd"}, path.name
        for section in page.sections:
            assert f'"{section}"' in source, section
        for line in page.elsewhere:
            assert line.split()[0] in NOT_RUN, line
            assert f"`{line.split()[0]}`" in said
            for unit in re.findall(r"-u '?([a-z-]+@?)", line):
                assert (ROOT / "deploy" / "systemd" / f"{unit}.service").is_file(), line


def test_the_user_of_the_units_is_made(tmp_path: Path) -> None:
    file = ROOT / "deploy" / "systemd" / "notification.conf"
    command = [str(program("systemd-sysusers", "systemd")), f"--root={tmp_path}", str(file)]
    (tmp_path / "etc").mkdir()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (made,) = [line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("notification:")]
    assert made.endswith(":/:/usr/sbin/nologin")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_a_unit_and_finds_it_closed(unit: Path, tmp_path: Path) -> None:
    """With a Python that is there."""
    analyze = program("systemd-analyze", "systemd")
    python = ROOT / ".venv" / "bin" / "python"
    copy = tmp_path / unit.name.replace("@", "@1")
    text = unit.read_text("utf-8").replace("/opt/notification-service/.venv/bin/python", str(python))
    copy.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    for command in (["verify"], ["security", "--offline=true", f"--threshold={EXPOSED}"]):
        done = subprocess.run(
            [str(analyze), *command, str(copy)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert command != ["verify"] or str(copy) not in done.stderr, done.stderr
