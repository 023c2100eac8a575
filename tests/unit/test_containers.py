"""What the Dockerfile and the compose file promise about the containers. hadolint (`make lint`) sees to the rest."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from api_service import key

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("notification-service")]
BECOMES_ITS_OWN_USER = {"postgres", "rabbitmq"}
ONE_SHOT = {"secrets", "migrate"}


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_the_product_runs_as_a_user_without_rights_or_shell() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    for stage in stages[2:]:  # behind the base and the builder
        users = re.findall(r"^USER (.*)$", stage, re.MULTILINE)
        assert users == [] or users[-1] == "10001:10001"
    assert stages[-1].startswith("product"), "what is built by default"
    assert "--shell /usr/sbin/nologin" in DOCKERFILE


def test_every_image_is_of_a_named_version() -> None:
    stages = {name for line in instructions("FROM") for name in re.findall(r" AS (\w+)", line)}
    images = [line.split()[0] for line in instructions("FROM")] + [service["image"] for service in SERVICES.values()]
    for image in set(images) - stages:
        assert re.search(r":(local|.*[0-9].*)$", image), image


def test_the_image_holds_no_secret_and_only_what_it_needs() -> None:
    for line in instructions("ENV") + instructions("ARG"):
        assert not re.search("PASSWORD|TOKEN|SECRET|KEY|_URL", line), line
    assert not re.search(r"^(ADD|COPY (\./)?\.? )", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored  # everything, but what is named
    assert "!.env" not in ignored
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service.get("cap_add", [])) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert bool(service.get("cap_add")) == (name in BECOMES_ITS_OWN_USER)
    assert service.get("read_only", False) == (name != "rabbitmq")
    assert not service.get("privileged")
    for published in service.get("ports", []):
        assert published.startswith("127.0.0.1:"), published
    for volume in service.get("volumes", []):
        assert not volume.startswith(("/", ".", "~")), "nothing of the host"
        assert not volume.startswith("secrets:") or volume.endswith(":ro") or name == "secrets"


def test_what_stays_up_has_a_health_check() -> None:
    assert instructions("HEALTHCHECK")
    for name in SERVICES.keys() - ONE_SHOT - set(OURS) - {"mailpit"}:  # mailpit's image has one
        assert SERVICES[name]["healthcheck"]["test"]
    for name in ONE_SHOT:
        assert SERVICES[name]["healthcheck"] == {"disable": True}


def test_no_setting_has_a_secret_by_default() -> None:
    told = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert re.findall(r"\$\{\w*(?:PASSWORD|TOKEN|KEY)\w*:-([^}]+)\}", told) == []
    assert "API_AUTH" not in told  # it is on


def test_the_secrets_are_made_once_and_are_for_nobody_else(tmp_path: Path) -> None:
    made = [_make_secrets(tmp_path) for _ in range(2)]
    assert made[0] == made[1]
    token = key.parsed(made[0]["api-key"].strip())
    assert token is not None
    assert len(token.secret) == 44
    assert stat.S_IMODE((tmp_path / "api-key").stat().st_mode) == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert not set(made[0].values()) & set(_make_secrets(other).values())


def _make_secrets(directory: Path) -> dict[str, str]:
    subprocess.run(["sh", ROOT / "deploy" / "secrets.sh", directory], check=True, timeout=30)
    return {file.name: file.read_text() for file in directory.iterdir() if file.is_file()}


def test_statements_that_fail_are_not_logged_with_their_values() -> None:
    options = SERVICES["postgres"]["command"]
    assert {"-clog_error_verbosity=terse", "-clog_min_error_statement=panic"} <= set(options)
