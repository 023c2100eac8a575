"""What a document leads to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_leads_to_is_there(document: Path) -> None:
    astray = []
    for target, anchor in _LINK.findall(_FENCED.sub("", document.read_text("utf-8"))):
        file = (document.parent / target) if target else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            astray.append(f"{target}#{anchor}")
    assert not astray


def test_one_that_leads_nowhere_is_found() -> None:
    assert _LINK.findall("[a](b.md#c) [d](#e) [f](https://g.example/#h)") == [("b.md", "c"), ("", "e")]
    assert _anchors(ROOT / "README.md") >= {"run-it"}
    assert "no-such-part" not in _anchors(ROOT / "README.md")


def _anchors(file: Path) -> set[str]:
    """Of its headings, as GitLab and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
