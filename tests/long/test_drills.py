"""Every drill, carried out; and one whose alarm has a rule that never fires."""

import os
from copy import deepcopy

import pytest

from tests.drills import rules as of_rules
from tests.drills.catalogue import DRILLS
from tests.drills.run import run

NEEDS_ROOT = {"disk-nearly-full"}


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill(name: str) -> None:
    if name in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("a file system of its own is made by root only")
    said: list[str] = []
    is_good = run(DRILLS[name](), of_rules.load(), lambda line: (said.append(line), print(line)))
    assert is_good, "\n".join(said)


def test_an_alarm_whose_rule_never_fires_is_missed() -> None:
    rules = deepcopy(of_rules.load())
    rule = of_rules.alarm(rules, "ChoreSetAside")
    assert rule
    rule["expr"] = f"({rule['expr']}) > 1e9"
    said: list[str] = []
    assert not run(DRILLS["mailing-locked"](), rules, said.append, heard_within=20)
    (line,) = (line for line in said if line.startswith("the alarm "))
    assert "FAILED: Not within 20 s: ChoreSetAside is heard" in line
