"""The rules of deploy/observe for a drill, and the pages that they lead to."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.support.prometheus import RULES

Rules = dict[str, Any]

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"

TIMES = 20
"""So many times shorter is what rules wait for and look back on: a drill is not to take an hour. What they compare with
is as it was."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def load() -> Rules:
    """All of them."""
    found: Rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return found


def alarm(rules: Rules, name: str) -> dict[str, Any] | None:
    """The rule of that alarm; None: there is none."""
    all_rules = (rule for group in rules["groups"] for rule in group["rules"])
    return next((rule for rule in all_rules if rule.get("alert") == name), None)


def without(rules: Rules, *names: str) -> Rules:
    """The same without the alarms of these names."""
    left = deepcopy(rules)
    for group in left["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert") not in names]
    return left


def shortened(rules: Rules) -> Rules:
    """The same, TIMES as quick."""
    quick = deepcopy(rules)
    for rule in (rule for group in quick["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(r"(\[|offset )(\d+[smhd])", lambda found: found[1] + _shorter(found[2]), rule["expr"])
        if "for" in rule:
            rule["for"] = _shorter(rule["for"])
    return quick


def _shorter(duration: str) -> str:
    return f"{1000 * int(duration[:-1]) * _SECONDS[duration[-1]] // TIMES}ms"


def page(name: str) -> Path:
    """Of docs/runbooks."""
    return RUNBOOKS / f"{name}.md"


def leads_to(rules: Rules, name: str, target: str) -> bool:
    """Whether the page of that alarm is the target, or says that it is to be read."""
    rule = alarm(rules, name)
    if not rule:
        return False
    own = ROOT / rule["annotations"]["runbook_url"]
    return own == page(target) or f"({target}.md)" in own.read_text(encoding="utf-8")
