"""A process that is set up wrongly does not start: it ends with 2 and one sentence that names the variable."""

import os
import subprocess
import sys

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
