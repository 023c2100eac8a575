"""The boards of Grafana: each can be shown, asks for what there is, and is where the alarms say. What would be wrong
with one is found."""

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import boards
from tests.support.boards import ALERTS, Boards, Query
from tests.support.server_process import program

BOARDS = boards.boards()
SOURCES = boards.sources()

CHECKS: dict[str, Callable[[Boards], list[str]]] = {
    "shape": boards.misshapen,
    "metrics": boards.undeclared,
    "variables": boards.without_variable,
    "source": lambda of: boards.without_source(of, SOURCES),
    "alarms": lambda of: boards.astray(of, ALERTS),
    "limits": lambda of: boards.other_limits(of, ALERTS),
}


def test_there_are_the_boards_that_operators_look_at() -> None:
    assert set(BOARDS) == {"overview", "mailing", "providers", "database-and-broker"}


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_wrong_with_the_boards(check: str) -> None:
    assert CHECKS[check](BOARDS) == []


def _first(of: dict[str, Any], board: str = "overview") -> dict[str, Any]:
    panel: dict[str, Any] = of[board]["panels"][0]
    return panel


_LIMIT_OF_400 = {"properties": [{"id": "thresholds", "value": {"steps": [{"color": "red", "value": 400}]}}]}

BREAKS: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "two boards of one address": ("shape", lambda of: of["mailing"].update(uid="notification-overview"), "uid"),
    "a board to which no other leads": ("shape", lambda of: of["mailing"].update(tags=[]), "no links"),
    "an id": ("shape", lambda of: of["mailing"].update(id=7), "an id"),
    "no title": ("shape", lambda of: of["mailing"].pop("title"), "no title"),
    "two panels of one id": ("shape", lambda of: _first(of).update(id=2), "id 2 twice"),
    "one panel over another": ("shape", lambda of: _first(of)["gridPos"].update(w=8), "lies over"),
    "a panel beside the grid": ("shape", lambda of: of["overview"]["panels"][4]["gridPos"].update(w=9), "beside"),
    "a kind that there is not": ("shape", lambda of: _first(of).update(type="graph"), "kind graph"),
    "no description": ("shape", lambda of: _first(of).update(description=""), "no description"),
    "no unit": ("shape", lambda of: _first(of)["fieldConfig"]["defaults"].pop("unit"), "no unit"),
    "no query": ("shape", lambda of: _first(of)["targets"].clear(), "queries"),
    "no legend": ("shape", lambda of: _first(of)["targets"][0].update(legendFormat=""), "legend"),
    "a stat of all values": ("shape", lambda of: _first(of)["targets"][0].pop("instant"), "last value"),
    "a metric that is misspelt": ("metrics", lambda of: _asks(of, "sum(feeder_leeder)"), "feeder_leeder"),
    "a label that is misspelt": ("metrics", lambda of: _asks(of, 'sum by (jop) (up{job="api"})'), "jop"),
    "a label of another metric": ("metrics", lambda of: _asks(of, 'up{reason="rate"}'), "reason"),
    "a legend of what was summed up": ("metrics", lambda of: _asks(of, "sum by (instance) (up)"), "the legend has"),
    "no metric at all": ("metrics", lambda of: _asks(of, "vector(1)"), "no metric"),
    "a variable that is not there": ("variables", lambda of: of["providers"]["templating"]["list"].clear(), "$prov"),
    "a variable that nobody uses": (
        "variables", lambda of: of["mailing"].update(templating=of["providers"]["templating"]), "$provider",
    ),
    "a variable of no label": (
        "variables", lambda of: of["providers"]["templating"]["list"][0].update(query="label_values(up, provider)"),
        "label_values",
    ),
    "another source": ("source", lambda of: _first(of).update(datasource={"type": "prometheus", "uid": "p"}), "'p'"),
    "an alarm that leads nowhere": ("alarms", lambda of: of.pop("mailing"), "MessagesWait: /d/notification-mailing"),
    "an alarm of which there is nothing": (
        "alarms", lambda of: of["mailing"]["panels"].pop(1), "LedgerOutOfBalance: nothing",
    ),
    "a panel that asks for something else": ("alarms", lambda of: _asks(of, "sum(feeder_leader)"), "ApiDown: nothing"),
    "another limit than the alarm's": (
        "limits", lambda of: _first(of, "mailing")["fieldConfig"]["overrides"].append(_LIMIT_OF_400), "400",
    ),
    "a page that there is not": ("limits", lambda of: _first(of).update(description="docs/runbooks/up.md."), "up.md"),
}  # fmt: skip


def _asks(of: dict[str, Any], expression: str) -> None:
    """The first panel of the overview asks for something else; its legend has the job."""
    _first(of)["targets"][0]["expr"] = expression


@pytest.mark.parametrize("break_", BREAKS)
def test_what_is_wrong_with_a_board_is_found(break_: str) -> None:
    check, spoil, words = BREAKS[break_]
    spoilt = copy.deepcopy(BOARDS)
    spoil(spoilt)
    said = CHECKS[check](spoilt)
    assert any(words in one for one in said), said


def test_every_query_can_be_read_by_prometheus(tmp_path: Path) -> None:
    said = _read(tmp_path, boards.queries(BOARDS))
    assert said.returncode == 0, said.stderr
    said = _read(tmp_path, [*boards.queries(BOARDS), Query("overview", "Alarms", "B", "sum by (up")])
    assert said.returncode != 0


def _read(directory: Path, queries: list[Query]) -> "subprocess.CompletedProcess[str]":
    """As rules, which promtool reads without a server."""
    rules = [{"record": f"query:{number}", "expr": query.asked()} for number, query in enumerate(queries)]
    file = directory / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}), encoding="utf-8")
    tool = program("promtool", "prometheus")
    return subprocess.run([tool, "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False)


def test_grafana_is_given_the_boards_and_changes_none() -> None:
    """What is changed in the browser would be lost with the next file, and is in no history."""
    [provider] = yaml.safe_load((boards.GRAFANA / "dashboards.yml").read_text("utf-8"))["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert not any(board["editable"] for board in BOARDS.values())
    [source] = SOURCES
    assert (source["editable"], source["isDefault"]) == (False, True)
    scraped = yaml.safe_load((boards.GRAFANA.parent / "prometheus.yml").read_text("utf-8"))["global"]
    assert source["jsonData"]["timeInterval"] == scraped["scrape_interval"]
