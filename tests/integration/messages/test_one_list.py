"""There is one list of states and one of errors: what is derived from them, and what is written about them, agrees."""

import json
import re
import subprocess
import sys
from pathlib import Path

from shared.domain.message import OPEN_STATES, Error, MessageState
from tests.support import one_more_state
from tests.support.new_database import new_database

ROOT = Path(__file__).parents[3]


def test_a_state_that_is_added_to_the_list_is_found_everywhere(postgres: str) -> None:
    with new_database(postgres) as url:
        done = subprocess.run(
            [sys.executable, "-m", one_more_state.__name__, url],
            cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "reached from every open state": True,
        "left for none": [],
        "ready to be finished": True,
        "finished": True,
        "figures": 2,
        "statistics": 2,
        "statistics of the mailing": 2,
        "its messages": ["parked", "parked"],
        "document": "Messages left out on purpose.",
        "report": 2,
        "letter": [
            ["parked", "2", "left", "out", "on", "purpose"],
            ["id", "audience", "sent", "failed", "unknown", "expired", "cancelled", "skipped", "parked", "text"],
        ],
        "page": True,
        "reckoning": [],
        "progress": "   1 s  pending 0  sending 0  retrying 0  sent 0  expired 1  parked 2  0/s\n",
    }


def test_the_glossary_has_the_list_of_states() -> None:
    text = (ROOT / "docs/glossary.md").read_text("utf-8").partition("## States of a message")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w*) ?\|$", text, re.MULTILINE)
    assert rows == [(state, state.meaning, "yes" if state in OPEN_STATES else "") for state in MessageState]


def test_the_page_of_metrics_has_the_list_of_errors() -> None:
    text = (ROOT / "docs/metrics.md").read_text("utf-8").partition("## Errors of a message")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert [(name, meaning) for name, meaning, _ in rows] == [(error, error.meaning) for error in Error]
    assert [name for name, _, follows in rows if "may have been delivered" in follows] == [
        error for error in Error if error.is_ambiguous
    ]
