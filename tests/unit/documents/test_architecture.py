"""docs/architecture.md names what the code has: every function on the way of a message, and every file."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from shared.database.models import Base

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PACKAGES = "api_service|dispatcher_service|shared"


def test_the_functions_on_the_way_of_a_message_are_there() -> None:
    (section,) = re.findall(r"^## The way of a message$.*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| \d+[a-z]? \|.*$", section, re.MULTILINE)
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(rf"`((?:{PACKAGES})\.[\w.]+)`", row)
        assert named, row
        assert all(callable(resolve_name(name)) for name in named), row


def test_every_table_is_named() -> None:
    (section,) = re.findall(r"^## Tables$.*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(Base.metadata.tables)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    """Where they are named with their folder. A new document says so at once when it is out of date."""
    named = set(re.findall(rf"`((?:{PACKAGES}|docs|tests|sandbox|benchmarks)/[\w/.]*)`", page.read_text("utf-8")))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
