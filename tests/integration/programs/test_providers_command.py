"""`python -m dispatcher_service.providers`: what is wrong with a file, and whether a provider answers."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.simulator.control import Simulator

pytest_plugins = ("tests.support.provider",)

StartSimulator = Callable[..., Simulator]

SECRET = "s3cret+&% "

PROFILES = """\
[providers.twilio]
preset = "twilio"
url = "{url}/2010-04-01/Accounts/{{account}}/Messages.json"
values = {{ account = "AC1" }}
secrets = {{ token = "env:GATEWAY_SECRET" }}
senders = ["+15005550006"]

[providers.kannel]
preset = "kannel"
url = "{url}/cgi-bin/sendsms"
values = {{ user = "shop" }}
secrets = {{ password = "env:GATEWAY_SECRET" }}

[providers.infobip]
preset = "infobip"
url = "{url}/sms/3/messages"
values = {{ host = "x" }}
secrets = {{ key = "file:{directory}/key" }}
senders = ["Shop"]
"""


def run(*arguments: str, secret: str | None = SECRET) -> subprocess.CompletedProcess[str]:
    env = os.environ | ({"GATEWAY_SECRET": secret} if secret else {})
    command = [sys.executable, "-m", "dispatcher_service.providers", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "providers.toml"
    (tmp_path / "key").write_text(SECRET)
    path.write_text(
        PROFILES.format(url="http://127.0.0.1:9", directory=tmp_path).replace('values = { host = "x" }\n', "")
    )
    return path


def test_a_file_that_is_right(file: Path) -> None:
    done = run("check", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["twilio", "kannel", "infobip"]


def test_what_is_wrong_has_its_line_and_key(file: Path) -> None:
    file.write_text(file.read_text().replace("values = { user", "valuess = { user"))
    done = run("check", str(file))
    assert done.returncode == 1
    assert f"{file}: line 11, providers.kannel.valuess: there is no such key (is it values?)\n" in done.stderr


def test_a_secret_that_is_not_there_is_wrong(file: Path) -> None:
    file.with_name("key").unlink()
    done = run("check", str(file), secret=None)
    assert done.returncode == 1
    assert "line 5, providers.twilio.secrets.token: env:GATEWAY_SECRET is not set or empty." in done.stderr
    assert "cannot be read: No such file or directory." in done.stderr


@pytest.mark.parametrize("name", ["twilio", "kannel", "infobip"])
def test_a_call_is_shown_without_secrets(name: str, file: Path, start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--token", SECRET.strip())
    file.write_text(file.read_text().replace("http://127.0.0.1:9", simulator.url))
    done = run("try", str(file), "--provider", name, "--phone", "79161234567", "--text", "Привет")
    assert done.returncode == 0, done.stderr
    assert "= accepted, after" in done.stdout
    assert ("= reference: " in done.stdout) == (name != "kannel")
    assert simulator.summary().accepted == 1
    for written in (SECRET.strip(), "s3cret%2B%26%25", "QUMxOnMzY3JldCsmJQ=="):
        assert written not in done.stdout + done.stderr


def test_a_call_that_is_refused_says_what_it_means(file: Path, start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--token", "other")
    file.write_text(file.read_text().replace("http://127.0.0.1:9", simulator.url))
    done = run("try", str(file), "--provider", "kannel", "--phone", "79161234567")
    assert done.returncode == 1
    assert "< HTTP 403\n< Authorization failed for sendsms\n= unauthorized (unauthorized), after" in done.stdout


def test_without_an_answer_the_reason_is_shown(file: Path) -> None:
    done = run("try", str(file), "--provider", "twilio", "--phone", "79161234567")
    assert done.returncode == 1
    assert "< no answer, not sent: " in done.stdout
    assert "= transient (unreachable), after" in done.stdout


def test_a_command_that_makes_no_sense(file: Path) -> None:
    assert (
        run("try", str(file), "--phone", "79161234567").stderr == "--provider must be one of twilio, kannel, infobip.\n"
    )
    wrong = run("try", str(file), "--provider", "twilio", "--phone", "79161234567", "--sender", "Bank")
    assert (wrong.returncode, wrong.stderr) == (2, "--sender must be one of +15005550006.\n")
    assert run("check", str(file.with_name("none.toml"))).returncode == 2
