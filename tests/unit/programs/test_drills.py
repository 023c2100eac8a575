"""What every drill stands on: its page, its alarms, and the command that lists and finds it."""

import inspect
import re
import subprocess
from pathlib import Path

import pytest

from tests.drills import rules as of_rules
from tests.drills.__main__ import main
from tests.drills.catalogue import DRILLS
from tests.drills.run import run

ROOT = Path(__file__).parents[3]
RULES = of_rules.load()
WITH_ALARM = {name: drill for name, drill in DRILLS.items() if drill.alarms}


def test_they_are_listed_with_a_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = dict(re.findall(r"^  ([\w-]+) +(\S.*\.)$", capsys.readouterr().out, re.MULTILINE))
    assert told == {name: drill.sentence for name, drill in DRILLS.items()}


def test_one_that_is_not_there_is_not_carried_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provider-up"]) == 2
    assert "There is no drill 'provider-up'" in capsys.readouterr().err


@pytest.mark.parametrize(("goals", "arguments"), [("drill", ""), ("drill provider-down", "provider-down")])
def test_make_hands_the_name_over(goals: str, arguments: str) -> None:
    said = subprocess.run(["make", "-n", *goals.split()], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (command,) = re.findall(r"-m tests\.drills(.*)$", said, re.MULTILINE)
    assert command.strip() == arguments


@pytest.mark.parametrize("name", DRILLS)
def test_its_page_says_what_it_does(name: str) -> None:
    """The page of its alarm, or one that that page leads to; and in a file of its own."""
    drill = DRILLS[name]
    text = " ".join(of_rules.page(drill.page).read_text("utf-8").split())
    assert drill.says
    assert [words for words in drill.says if words not in text] == []
    assert all(of_rules.leads_to(RULES, alarm, drill.page) for alarm in drill.alarms)
    assert Path(inspect.getfile(drill)).name == f"{name.replace('-', '_')}.py"


@pytest.mark.parametrize("name", WITH_ALARM)
def test_without_the_rule_of_its_alarm_it_fails(name: str) -> None:
    """At once, before anything is started. That one whose rule says nothing fails as well is held by
    tests/long/test_drills.py."""
    for alarm in WITH_ALARM[name].alarms:
        said: list[str] = []
        assert not run(WITH_ALARM[name](), of_rules.without(RULES, alarm), said.append)
        assert f"deploy/observe/alerts.yml has no rule of {alarm}" in "\n".join(said)
        assert said[-1] == "The drill FAILED."


@pytest.mark.parametrize("name", DRILLS)
def test_it_fails_where_its_page_does_not_say_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = DRILLS[name]()
    monkeypatch.setattr(drill, "says", ("Restart everything.",), raising=False)
    said: list[str] = []
    assert not run(drill, RULES, said.append)
    assert f"docs/runbooks/{drill.page}.md does not say: Restart everything." in "\n".join(said)


def test_what_rules_wait_for_is_shorter_and_what_they_compare_with_is_not() -> None:
    rules = {
        "groups": [
            {
                "rules": [
                    {"alert": "A", "expr": "increase(a[2m]) > 0 and sum(b offset 1h) > 6 * 3600", "for": "15m"},
                    {"record": "r", "expr": "increase(a[1d]) > 300"},
                ]
            }
        ]
    }
    quick, recorded = of_rules.shortened(rules)["groups"][0]["rules"]
    assert quick == {
        "alert": "A",
        "expr": "increase(a[6000ms]) > 0 and sum(b offset 180000ms) > 6 * 3600",
        "for": "45000ms",
    }
    assert recorded["expr"] == "increase(a[4320000ms]) > 300"
    assert rules["groups"][0]["rules"][0]["for"] == "15m"
