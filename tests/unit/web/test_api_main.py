"""Where the API may be open to everybody who reaches it, and what it must not do before it knows its settings."""

import subprocess
import sys

import pytest

from api_service.__main__ import _check_door
from shared import settings
from shared.domain.errors import SettingsError


@pytest.mark.parametrize("host", ["", "127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_open_to_this_machine(host: str) -> None:
    _check_door(settings.load({"API_AUTH": "off", "API_HOST": host}))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "2001:db8::1", "api.example", "127.0.0.1.example"]
)
def test_never_to_others(host: str) -> None:
    with pytest.raises(SettingsError, match="API_AUTH may be off only where API_HOST is a loopback address"):
        _check_door(settings.load({"API_AUTH": "off", "API_HOST": host}))
    _check_door(settings.load({"API_HOST": host}))


def test_no_metric_is_declared_before_the_directory_of_metrics_is_known() -> None:
    """One that is would count in each process by itself, and on no page."""
    look = "import sys, api_service.__main__; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False, timeout=60).returncode == 0
