"""The pages of docs/howto name files: they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs/howto").glob("*.md"))
NAMED = re.compile(r"`((?:api_service|dispatcher_service|shared|sandbox|tests|docs|benchmarks|deploy)/[\w./-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    named = NAMED.findall(text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_index_has_every_decision_with_its_title() -> None:
    folder = ROOT / "docs/adr"
    rows = dict(
        re.findall(r"^\| \d+ \| \[(?P<title>[^]]+)\]\((?P<file>[^)]+)\) \| [^|]+ \| \d{4}-\d\d-\d\d \|$", INDEX, re.M)
    )
    titles = {path.read_text("utf-8").splitlines()[0].partition(". ")[2]: path.name for path in folder.glob("0*.md")}
    assert rows == titles
    numbers = {int(name[:4]) for name in rows.values()}
    left_out = re.search(r"No decision has the number([\d, or\n]+):", INDEX)
    assert left_out
    assert {*range(1, max(numbers))} - numbers == {*map(int, re.findall(r"\d+", left_out[1]))}


INDEX = (ROOT / "docs/adr/README.md").read_text("utf-8")
