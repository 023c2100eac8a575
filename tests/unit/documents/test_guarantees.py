"""docs/guarantees.md names the tests that hold each promise: they are there, and no line goes without."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(PAGE)
    assert named
    assert [f"{file}::{test}" for file, test in named if test not in functions_of(ROOT / file)] == []


def test_every_line_of_the_promise_is_held_by_a_test() -> None:
    promises = re.findall(r"^## (\d)\. .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert promises == ["1", "2", "3", "4", "5"]
    for section in re.findall(r"^## \d\. .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL):
        lines = re.split(r"^- ", section, flags=re.MULTILINE)[1:]
        assert lines, section
        assert [line for line in lines if not NAMED.search(line)] == []


def functions_of(file: Path) -> set[str]:
    """The functions of a file that pytest collects; none where it is not there."""
    if not file.exists():
        return set()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
