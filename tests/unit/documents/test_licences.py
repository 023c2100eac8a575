"""The list of third parties agrees with what is installed, and the image says and holds it."""

import re
from pathlib import Path

import pytest

from deploy import licences
from deploy.licences import Unknown

PAGE = licences.PAGE.read_text(encoding="utf-8")
DOCKERFILE = licences.DOCKERFILE.read_text(encoding="utf-8")
AGAIN = "`make licences` brings it up to date"


def test_the_list_has_every_package_of_the_image_and_no_other() -> None:
    packages, _, _ = PAGE.partition("## Within packages")
    listed = re.findall(r"^\| ([a-z0-9-]+) \| ([0-9][^ ]*) \| ([^|]+) \|$", packages, re.MULTILINE)
    assert listed == licences.packages(), AGAIN


def test_the_list_has_whatever_the_wheels_bring_along() -> None:
    """Wheels of another platform may bring less."""
    names = [name for name, _, _ in licences.packages()]
    for part in licences.parts(names):
        assert f"| {part.name} | {part.within} | {part.licence} |\n" in PAGE, AGAIN


def test_the_image_says_and_holds_what_is_in_it() -> None:
    label = licences.LABEL.search(DOCKERFILE)
    assert label
    assert label[2] == licences.label(PAGE), AGAIN
    assert label[2].startswith("MIT AND ")
    for one in ("LGPL-3.0-or-later", "MPL-2.0", "Apache-2.0", "PostgreSQL", "curl"):
        assert one in label[2].replace("(", "").split(), one
    product = DOCKERFILE.partition("AS product")[2].partition("AS demo")[0]
    assert "COPY LICENSE docs/licences.md ./\n" in product
    ignored = (licences.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"!LICENSE", "!docs/licences.md"} <= set(ignored)


def test_what_is_not_known_is_not_guessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(licences, "_LIBRARIES", {})
    with pytest.raises(Unknown, match=r"psycopg2-binary brings lib.*: look it up"):
        licences.parts(["psycopg2-binary"])
    monkeypatch.setattr(licences, "_WORDS", {})
    with pytest.raises(Unknown, match="authlib does not say its licence"):
        licences.packages()
    monkeypatch.setattr(licences, "ROOT", tmp_path)
    (tmp_path / "requirements.txt").write_text("certifi==1.0 \\\n    --hash=sha256:0\n")
    with pytest.raises(Unknown, match=r"certifi 1\.0 is wanted and 20.* is installed"):
        licences.packages()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "MIT"),
        (["MIT", "MPL-2.0", "MIT"], "MIT AND MPL-2.0"),
        (["MIT OR Apache-2.0", "BSD-3-Clause"], "MIT AND (MIT OR Apache-2.0) AND BSD-3-Clause"),
        (["Apache-2.0 AND BSD-2-Clause", "BSD-2-Clause"], "MIT AND Apache-2.0 AND BSD-2-Clause"),
    ],
)
def test_the_label_names_each_licence_once(given: list[str], expected: str) -> None:
    assert licences.expression(given) == expected
