"""The versions that README.md supports are those that CI runs, and those that everything else names are among them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
JOBS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text("utf-8"))
NAMES = {"OF_PYTHON": "Python", "OF_POSTGRESQL": "PostgreSQL", "OF_RABBITMQ": "RabbitMQ"}
IMAGE = re.compile(r"(?:FROM|image:) (python|postgres|rabbitmq):(?:\$\{\w+:-)?(\d+(?:\.\d+)?)")
IMAGES = {"python": "Python", "postgres": "PostgreSQL", "rabbitmq": "RabbitMQ"}


def supported(page: str) -> dict[str, list[str]]:
    rows = re.findall(r"^\| (\w+) \| ([\d., ]+) \|$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    return {name: versions.split(", ") for name, versions in rows}


SUPPORTED = supported("README.md")


def test_ci_runs_each_version_that_is_supported_and_no_other() -> None:
    job = JOBS["versions"]
    runs = {NAMES[name]: versions for one in job["parallel"]["matrix"] for name, versions in one.items()}
    assert runs == SUPPORTED
    assert {NAMES[name]: job["variables"][name] for name in NAMES} == {
        name: versions[-1] for name, versions in SUPPORTED.items()
    }, "beside the newest of the others"
    named = " ".join([job["image"], *(service["name"] for service in job["services"])])
    assert re.findall(r"(\w+):\$(\w+)", named) == [
        ("python", "OF_PYTHON"), ("postgres", "OF_POSTGRESQL"), ("rabbitmq", "OF_RABBITMQ")
    ]  # fmt: skip
    assert not job.get("allow_failure")


def test_the_russian_readme_says_the_same() -> None:
    assert supported("README.ru.md") == SUPPORTED


def test_the_package_asks_for_the_oldest_python() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert asked == f">={SUPPORTED['Python'][0]}"


@pytest.mark.parametrize("page", ["README.md", "docs/kubernetes.md", "docs/operations/systemd.md"])
def test_what_a_page_calls_the_oldest_is_the_oldest(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for name, version in re.findall(r"(Python|PostgreSQL|RabbitMQ) (\d[\d.]*\d) or (?:later|newer)", text):
        assert version == SUPPORTED[name][0], f"{page}: {name} {version}"


def test_images_have_versions_that_are_supported() -> None:
    files = [
        ROOT / "Dockerfile",
        ROOT / "docker-compose.yml",
        *(ROOT / "deploy").rglob("*.y*ml"),
        ROOT / ".gitlab-ci.yml",
    ]
    found = [(IMAGES[image], version) for file in files for image, version in IMAGE.findall(file.read_text("utf-8"))]
    assert found
    for name, version in found:
        assert any(version == one or version.startswith(f"{one}.") for one in SUPPORTED[name]), (name, version)
