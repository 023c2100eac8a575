"""What docs/operations/ and its units say agrees with the code and with the compose file."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.page import Page

ROOT = Path(__file__).parents[3]
PAGES = [path for path in sorted((ROOT / "docs" / "operations").glob("*.md")) if path.name != "README.md"]
UNITS = {path.stem: path.read_text("utf-8") for path in (ROOT / "deploy" / "systemd").glob("*.service")}
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
COUNTERPARTS = {
    "notification-api": "api",
    "notification-dispatcher@": "dispatcher",
    "notification-reporter": "reporter",
    "notification-migrate": "migrate",
}
PYTHON = "/opt/notification-service/.venv/bin/python"


def said(unit: str, key: str) -> str:
    """The one value of it."""
    (value,) = re.findall(rf"^{key}=(.*)$", UNITS[unit], re.MULTILINE)
    return str(value)


def test_each_service_has_its_unit() -> None:
    assert UNITS.keys() == COUNTERPARTS.keys()


@pytest.mark.parametrize(("unit", "service"), COUNTERPARTS.items())
def test_a_unit_runs_what_the_container_runs_within_the_same_memory(unit: str, service: str) -> None:
    python, *arguments = said(unit, "ExecStart").split()
    assert python == PYTHON
    if service != "migrate":
        assert ["python", *arguments] == SERVICES[service]["command"]
    assert said(unit, "MemoryMax").lower() == SERVICES[service]["mem_limit"]
    assert said(unit, "EnvironmentFile") == f"/etc/notification-service/{service}.env"


@pytest.mark.parametrize("unit", [unit for unit in COUNTERPARTS if unit != "notification-migrate"])
def test_a_unit_has_the_time_to_stop_that_the_container_has(unit: str) -> None:
    grace = SERVICES[COUNTERPARTS[unit]].get("stop_grace_period", "30s")
    assert f"{said(unit, 'TimeoutStopSec')}s" == grace
    assert said(unit, "KillMode") == "mixed", "its first process alone is told, and sees to the others"
    assert (said(unit, "Restart"), said(unit, "RestartPreventExitStatus")) == ("always", "2")


@pytest.mark.parametrize("unit", COUNTERPARTS)
def test_a_unit_has_no_rights_and_files_enough(unit: str) -> None:
    assert said(unit, "User") == said(unit, "Group") == "notification"
    assert said(unit, "CapabilityBoundingSet") == ""
    assert said(unit, "ProtectSystem") == "strict"
    assert said(unit, "NoNewPrivileges") == "yes"
    assert int(said(unit, "LimitNOFILE")) >= 2 * 10_000 + 128, "two for each call, of as many as can be set"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_says_at_its_top_what_may_differ(path: Path) -> None:
    page = Page(path)
    commands = "\n".join(page.sections.values())
    assert page.sections
    for name in page.variables:
        assert re.search(rf"\$\{{?{name}\b", commands), f"{name} is used nowhere"
    for words in ("/opt/", "/etc/", "5432"):
        assert words not in commands.replace("/var/log/notification-service|$LOGS", ""), f"{words} may differ"
