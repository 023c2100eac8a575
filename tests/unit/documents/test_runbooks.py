"""Every alarm has its page and every page its alarm; rules and pages name what there is."""

import re
from pathlib import Path

import pytest

from tests.support.declared_metrics import RULES, what_is_unknown

ROOT = Path(__file__).parents[3]
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
CODE = [
    path.read_text("utf-8")
    for name in ("api_service", "dispatcher_service", "shared")
    for path in ROOT.glob(f"{name}/**/*.py")
]
SECTIONS = ["Look here", "Do this", "When to wake somebody"]
BY_PEOPLE = ["key-leaked", "wrong-mailing-started"]
"""Pages about what no figure tells: they say so, and why."""


def test_every_alarm_has_its_page_and_every_page_its_alarm() -> None:
    pages = {alert: ROOT / rule["annotations"]["runbook_url"] for alert, rule in ALERTS.items()}
    assert sorted([*pages.values(), *(RUNBOOKS / f"{name}.md" for name in BY_PEOPLE)]) == PAGES
    for alert, page in pages.items():
        assert page.read_text("utf-8").startswith(f"# {alert}\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_it_means_where_to_look_what_to_do_and_whom_to_wake(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.search(r"^\*\*For people\.\*\* .+\.$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(part.strip() for part in re.split(r"^#+ .+$", text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_lines_of_the_log_and_the_modules_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for words in re.findall(r"\| grep (?:-E )?'?([\w|]+)'?$", text, re.MULTILINE):
        for word in set(words.split("|")) - {"Traceback", "stopping"}:
            assert any(f'"{word}"' in code for code in CODE), word
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert (
            list(ROOT.glob(f"{module.replace('.', '/')}/__main__.py"))
            or (ROOT / f"{module.replace('.', '/')}.py").is_file()
        )


@pytest.mark.parametrize("name", BY_PEOPLE)
def test_a_page_without_an_alarm_says_so_and_is_in_the_index(name: str) -> None:
    assert "There is no alarm" in (RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert f"({name}.md)" in (RUNBOOKS / "README.md").read_text("utf-8")


def test_the_index_has_every_alarm_with_its_severity() -> None:
    rows = re.findall(
        r"^\| \[(\w+)\]\(([\w-]+\.md)\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert rows == [
        (alert, Path(rule["annotations"]["runbook_url"]).name, rule["labels"]["severity"])
        for alert, rule in ALERTS.items()
    ]


def _expressions() -> list[str]:
    """Of the rules, and of the lines of the pages that are for Prometheus."""
    lines = [line[4:] for page in PAGES for line in page.read_text("utf-8").splitlines() if line.startswith("    ")]
    told = [line for line in lines if not line.startswith(("docker ", "curl "))]
    return [rule["expr"] for rule in RULES] + told


@pytest.mark.parametrize("expression", _expressions())
def test_what_is_asked_of_prometheus_is_declared_with_these_labels(expression: str) -> None:
    assert not what_is_unknown(expression)
