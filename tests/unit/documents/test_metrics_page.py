"""docs/metrics.md has every metric with its labels, every chore and every board."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path

from dispatcher_service.leading import chores
from dispatcher_service.leading.chores.chore import Chore
from shared.own_metrics import API, DISPATCHER, REPORTER
from tests.support.boards import boards
from tests.support.declared_metrics import declared

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text("utf-8")
ROWS = {
    name: (set(re.findall(r"\w+", labels)), words)
    for name, labels, words in re.findall(r"^\| `(\w+)` \| ([\w, ]*) ?\| (.+) \|$", PAGE, re.MULTILINE)
    if "_" in name
}


def test_every_metric_has_its_row_and_every_row_its_metric() -> None:
    told = {name: labels for name, (labels, _) in ROWS.items() if name.startswith((*API, *DISPATCHER, *REPORTER))}
    assert told == {name.removesuffix("_bucket"): labels - {"le"} for name, labels in declared().items()}


def test_every_chore_is_told_of() -> None:
    for module in pkgutil.iter_modules(chores.__path__):
        import_module(f"{chores.__name__}.{module.name}")
    _, words = ROWS["feeder_chore_last_run_seconds"]
    assert set(re.findall(r"`(\w+)`", words)) == {one.name for one in Chore.__subclasses__()} | {
        "launch",
        "check_ledger",
    }


def test_every_board_is_told_of() -> None:
    assert re.findall(r"^\| ([A-Z][\w ]+) \| .+\|$", PAGE.partition("## The boards")[2], re.MULTILINE) == [
        boards()[name]["title"] for name in ("overview", "mailing", "providers", "database-and-broker")
    ]
