"""README.ru.md says what README.md says: whoever changes one of them changes the other."""

import re
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
ENGLISH, RUSSIAN = "README.md", "README.ru.md"
CODE = re.compile(r"`[^`]+`")
LINK = re.compile(r"(!?)\[[^]]*\]\(([^)]+)\)|<(https?://[^>]+)>")


class Chapter(NamedTuple):
    """What stands between two headings, in the order of the page, as far as no language has a part in it."""

    level: int
    commands: list[str]
    tables: list[list[tuple[int, list[str]]]]
    """Of each table each row: its number of cells, and what its first cell has in backquotes."""
    names: list[list[str]]
    """Of each paragraph and each item of a list what it has in backquotes, sorted: the order is the sentence's."""
    targets: list[tuple[str, str]]
    """Of links and images; of an anchor within the page, which is made of its heading, only that it is one."""


def _chapters(name: str) -> list[Chapter]:
    lines = re.sub(r"^```.*?^```$", "", _page(name), flags=re.DOTALL | re.MULTILINE).splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("#")]
    return [_chapter(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def _chapter(lines: list[str]) -> Chapter:
    chapter = Chapter(len(lines[0]) - len(lines[0].lstrip("#")), [], [], [], [])
    for kind, group in groupby(lines[1:], key=_kind):
        block = list(group)
        if kind == "commands":
            chapter.commands.extend(re.sub(r"( +# ).+$", r"\1", line) for line in block)
            continue
        chapter.targets.extend(
            (image, "#" if target.startswith("#") else target or address)
            for image, target, address in LINK.findall("\n".join(block))
        )
        if kind == "table":
            rows = [line.strip("|").split("|") for line in block]
            chapter.tables.append([(len(row), CODE.findall(row[0])) for row in rows])
        elif kind == "prose":
            paragraphs = re.split(r"\n(?=- )", "\n".join(block))
            chapter.names.extend(sorted(CODE.findall(paragraph)) for paragraph in paragraphs)
    return chapter


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    return "commands" if line.startswith("    ") else "table" if line.startswith("|") else "prose"


def _page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_both_have_the_same_chapters() -> None:
    english, russian = _chapters(ENGLISH), _chapters(RUSSIAN)
    assert english[0].targets.pop(0) == ("", RUSSIAN)
    assert russian[0].targets.pop(0) == ("", ENGLISH)
    assert [chapter.level for chapter in russian] == [chapter.level for chapter in english]
    for ours, theirs in zip(russian, english, strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            assert mine == other


@pytest.mark.parametrize("name", [ENGLISH, RUSSIAN])
def test_what_a_page_leads_to_is_there(name: str) -> None:
    page = _page(name)
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    for target in (target for _, target, _ in LINK.findall(page) if target and ":" not in target):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        assert path or anchor in anchors, target
