"""A process that is set up wrongly does not start: it ends with 2 and one sentence that names the variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.processes import SETTINGS

MODULES = ["api_service", "dispatcher_service", "dispatcher_service.reporter"]


def _start(module: str, **settings: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-m", module]
    return subprocess.run(command, check=False, env=others | settings, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("module", MODULES)
def test_a_file_of_authorities_that_is_not_there(module: str) -> None:
    done = _start(module, SSL_CERT_FILE="/no/such/file")
    assert done.returncode == 2
    assert done.stderr == (
        "SSL_CERT_FILE must name a file that can be read: No such file or directory (it is '/no/such/file').\n"
    )


def test_a_token_in_plain_text_to_a_public_host() -> None:
    done = _start("dispatcher_service", PROVIDER_URL="http://provider.example.com", PROVIDER_TOKEN="hunter2")
    assert done.returncode == 2
    assert done.stderr.startswith("PROVIDER_URL must begin with https://")
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES[:2])
def test_a_file_of_providers_that_makes_no_sense(module: str, tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(
        '[providers.main]\npreset = "twilio"\nvalues = { account = "AC1" }\nsecrets = { token = "hunter2" }\n'
    )
    done = _start(module, PROVIDERS_FILE=str(file), DATABASE_URL="postgresql://nobody@127.0.0.1:9/none", API_AUTH="off")
    assert done.returncode == 2
    assert done.stderr.startswith(f"PROVIDERS_FILE {file}:\n")
    assert "  line 4, providers.main.secrets.token: must say where the secret is" in done.stderr
    assert "  line 1, providers.main.senders: must be given" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_secret_of_a_provider_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(
        '[providers.main]\npreset = "smsc"\nvalues = { login = "me" }\nsecrets = { password = "file:/no/such/file" }\n'
    )
    done = _start("dispatcher_service", PROVIDERS_FILE=str(file))
    assert done.returncode == 2
    assert "line 4, providers.main.secrets.password: file:/no/such/file cannot be read" in done.stderr


def test_a_file_of_providers_that_is_not_there() -> None:
    done = _start("dispatcher_service", PROVIDERS_FILE="/no/such/file")
    assert done.returncode == 2
    assert done.stderr == "PROVIDERS_FILE /no/such/file cannot be read: No such file or directory.\n"
