"""Three places have to know a field of a mailing: a migration, the model, the schema (docs/howto/field.md)."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.new_database import new_database

ROOT = Path(__file__).parents[3]

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade() -> None:
    op.add_column("mailings", sa.Column("note", sa.Text(), nullable=True))
"""
MODEL = "    note: Mapped[str | None] = mapped_column(Text)\n"
SCHEMA = """    note = Text(
        allow_none=True, load_default=lambda: None, metadata=described("For yourselves.", example="Ask Anna.")
    )
"""


def test_a_field_that_three_places_know_is_known_everywhere(postgres: str, tmp_path: Path) -> None:
    for package in ("api_service", "notification_client", "shared", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    versions = tmp_path / "shared/database/migrations/versions"
    newest = max(path.name.partition("_")[0] for path in versions.glob("*.py"))
    (versions / "9999_note.py").write_text(MIGRATION.format(newest=newest))
    _insert(tmp_path / "shared/database/models.py", r"(?<=\n)(?=    created_at: [^\n]+\n    paused_at)", MODEL)
    _insert(tmp_path / "api_service/mailings/schema.py", r"(?<=\n)(?=    state = fields\.Enum)", SCHEMA)
    with new_database(postgres) as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.one_more_field", url],
            cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "left out": None,
        "given": "Ask Anna.",
        "refused": ["note"],
        "put back": 200,
        "changed": ["Call Boris.", 2],
        "by others": "Call Boris.",
        "audit": [["create", None, "Ask Anna."], ["change", "Ask Anna.", "Call Boris."]],
        "document": ["Mailing", "MailingChanges", "MailingReplacement", "NewMailing"],
        "example": "Ask Anna.",
        "by the client": "Call Clara.",
    }


def _insert(path: Path, place: str, lines: str) -> None:
    text, times = re.subn(place, lambda _: lines, path.read_text("utf-8"), count=1)
    assert times == 1, path
    path.write_text(text, "utf-8")
