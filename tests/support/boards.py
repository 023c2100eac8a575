"""The boards of deploy/observe/grafana, and what is wrong with boards: in words, [] where nothing is."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.declared_metrics import RULES, names_in, what_is_unknown

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "observe" / "grafana"
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}

Board = dict[str, Any]
Boards = Mapping[str, Board]
"""By the name of their files."""

OURS = "notification"
"""The tag of our boards, by which each links to the others."""
COLUMNS = 24
_KINDS = {"stat", "timeseries", "bargauge", "state-timeline"}
_OF_NOW = {"stat", "bargauge"}
"""Kinds that show the last value, and ask for no other."""


class Query(NamedTuple):
    """What a panel asks for."""

    board: str
    panel: str
    ref: str
    expression: str

    def asked(self) -> str:
        """As Grafana asks it while nobody has chosen anything. It looks over four scrapes; here they are a second
        apart."""
        return self.expression.replace("$__rate_interval", "4s").replace("$provider", ".*")


def boards() -> dict[str, Board]:
    return {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(GRAFANA.glob("dashboards/*.json"))}


def sources() -> list[dict[str, Any]]:
    """The data sources that Grafana is given."""
    found: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "datasources.yml").read_text("utf-8"))["datasources"]
    return found


def queries(of: Boards) -> list[Query]:
    return [
        Query(name, panel["title"], target["refId"], target["expr"])
        for name, board in of.items()
        for panel in board["panels"]
        for target in panel["targets"]
    ]


def misshapen(of: Boards) -> list[str]:
    """What Grafana would not show, or one over the other, or under another address."""
    return [f"{name}: {words}" for name, board in of.items() for words in _of_board(name, board)]


def _of_board(name: str, board: Board) -> Iterator[str]:
    needed = {"title": str, "description": str, "schemaVersion": int, "time": dict, "templating": dict, "panels": list}
    yield from (f"no {key}" for key, kind in needed.items() if not isinstance(board.get(key), kind))
    if board["uid"] != f"{OURS}-{name}" or len(board["uid"]) > 40:
        yield f"uid {board['uid']}"
    if not any(set(link["tags"]) == {OURS} == set(board["tags"]) for link in board["links"]):
        yield "no links to the others"
    if "id" in board:
        yield "an id, which is Grafana's to give"
    for key in ("id", "title"):
        values = [panel[key] for panel in board["panels"]]
        yield from (f"{key} {value} twice" for value in set(values) if values.count(value) > 1)
    for one, other in combinations(board["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} lies over {other['title']}"
    for panel in board["panels"]:
        yield from (f"{panel['title']}: {words}" for words in _of_panel(panel))


def _of_panel(panel: Mapping[str, Any]) -> Iterator[str]:
    place = panel["gridPos"]
    if not (place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= COLUMNS and place["h"] > 0):
        yield "beside the grid"
    if panel["type"] not in _KINDS:
        yield f"kind {panel['type']}"
    if not panel["description"].endswith("."):
        yield "no description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    refs = [target["refId"] for target in panel["targets"]]
    if not refs or len(set(refs)) < len(refs):
        yield f"queries {refs}"
    for target in panel["targets"]:
        if not target["legendFormat"]:
            yield "a query without a legend"
        if target.get("instant", False) != (panel["type"] in _OF_NOW):
            yield "asks for the last value, or does not, and is of the other kind"


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def undeclared(of: Boards) -> list[str]:
    """Metrics and labels that nobody has; labels in a legend that a query does not leave."""
    found = []
    for name, board in of.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                left = {label for one in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in one.split(", ")}
                lost = shown - left if left else set()
                words = what_is_unknown(target["expr"], shown) or (f"the legend has {sorted(lost)}" if lost else "")
                if words:
                    found.append(f"{name}, {panel['title']}: {words}")
    return found


def without_variable(of: Boards) -> list[str]:
    """Variables that are used and not there, there and not used, or of labels that nobody has."""
    found = []
    for name, board in of.items():
        used = {word for query in queries({name: board}) for word in re.findall(r"\$(\w+)", query.expression)}
        there = {one["name"]: one["query"] for one in board["templating"]["list"]}
        found += [f"{name}: ${word}" for word in (used - {"__rate_interval"}) ^ there.keys()]
        for asked in there.values():
            values = re.fullmatch(r"label_values\((\w+), (\w+)\)", asked)
            if not values or what_is_unknown(values[1], {values[2]}):
                found.append(f"{name}: {asked}")
    return found


def without_source(of: Boards, given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Panels and variables that ask a data source which is not given."""
    known = [{"type": one["type"], "uid": one["uid"]} for one in given]
    return [
        f"{name}, {one.get('title', one.get('name'))}: {one['datasource']}"
        for name, board in of.items()
        for one in (*board["panels"], *board["templating"]["list"])
        if one["datasource"] not in known
    ]


def astray(of: Boards, alerts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Alarms that lead to no board, or to one on which nothing names their page and asks for what they go by."""
    found = []
    at = {f"/d/{board['uid']}": board for board in of.values()}
    for rule in alerts:
        notes = rule["annotations"]
        if not (board := at.get(notes["dashboard_url"])):
            found.append(f"{rule['alert']}: {notes['dashboard_url']}")
            continue
        goes_by = _with_records(names_in(rule["expr"]))
        about = [panel for panel in board["panels"] if notes["runbook_url"] in _runbooks(panel)]
        asked = {name for panel in about for one in panel["targets"] for name in names_in(one["expr"])}
        if not _with_records(asked) & goes_by:
            found.append(f"{rule['alert']}: nothing of it on {board['title']}")
    return found


def _with_records(names: set[str]) -> set[str]:
    return names | {name for one in names & RECORDS.keys() for name in names_in(RECORDS[one])}


def _runbooks(panel: Mapping[str, Any]) -> list[str]:
    return re.findall(r"docs/runbooks/[\w-]+\.md", panel["description"])


def other_limits(of: Boards, alerts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Thresholds that are no limit of the alarms whose pages the panel names, and pages that are no alarm's."""
    limits = {rule["annotations"]["runbook_url"]: _limits(rule["expr"]) for rule in alerts}
    found = []
    for name, board in of.items():
        for panel in board["panels"]:
            pages = _runbooks(panel)
            found += [f"{name}, {panel['title']}: {page}" for page in pages if page not in limits]
            known = {limit for page in pages for limit in limits.get(page, ())}
            other = [value for value in _thresholds(panel) if pages and not {value, value - 1} & known]
            found += [f"{name}, {panel['title']}: {value}" for value in other]
    return found


def _thresholds(panel: Mapping[str, Any]) -> Iterator[float]:
    fields = panel["fieldConfig"]
    properties = [one for override in fields["overrides"] for one in override["properties"]]
    for levels in (
        fields["defaults"].get("thresholds"),
        *(one["value"] for one in properties if one["id"] == "thresholds"),
    ):
        yield from (step["value"] for step in (levels or {"steps": []})["steps"] if step["value"] is not None)


def _limits(expression: str) -> set[float]:
    """What is compared with. A whole number has another side: more than 0 is 1 or more."""
    told = re.findall(r"(?:[<>]=?|[!=]=) ([\d.]+(?: \* [\d.]+)*)", expression)
    return {math.prod(float(number) for number in one.split(" * ")) for one in told}
