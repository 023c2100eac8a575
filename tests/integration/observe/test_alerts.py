"""The rules of the alarms, by Prometheus's own tools: each fires on what it is for, and not on what is near it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.server_process import program

OBSERVE = Path(__file__).parents[3] / "deploy" / "observe"
RULES: dict[str, Any] = yaml.safe_load((OBSERVE / "alerts.yml").read_text(encoding="utf-8"))
SERIES: dict[str, Any] = yaml.safe_load((OBSERVE / "alerts_test.yml").read_text(encoding="utf-8"))
ALERTMANAGER = OBSERVE / "alertmanager.yml"
RECORDS = [rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule]
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
TESTS = [(case["alertname"], series, case) for series in SERIES["tests"] for case in series["alert_rule_test"]]


@pytest.mark.parametrize("alert", ALERTS)
def test_each_has_series_that_fire_and_series_that_do_not(alert: str) -> None:
    fires = [bool(case["exp_alerts"]) for name, _, case in TESTS if name == alert]
    assert set(fires) == {True, False}
    assert len([rule for group in RULES["groups"] for rule in group["rules"] if rule.get("alert") == alert]) == 1


def test_no_series_are_left_of_a_rule_that_is_gone() -> None:
    assert {name for name, _, _ in TESTS} == set(ALERTS)


def test_each_fires_on_its_series_and_nothing_does_without_it(tmp_path: Path) -> None:
    """Each rule alone with its own series, which takes promtool a tenth of the time; then the series without it."""
    with_rule = [_alone(tmp_path / "with", alert, [*RECORDS, rule]) for alert, rule in ALERTS.items()]
    without = [_alone(tmp_path / "without", alert, RECORDS) for alert in ALERTS]
    said = _promtool("test", "rules", *with_rule)
    assert said.returncode == 0, said.stderr
    said = _promtool("test", "rules", *without)
    held = re.findall(r"FAILED:\s+alertname: (\w+)", said.stdout + said.stderr)
    assert sorted(held) == sorted(ALERTS)


def _alone(directory: Path, alert: str, rules: list[dict[str, Any]]) -> str:
    """The file of the tests of one alarm, beside the rules that they are held against."""
    directory.mkdir(exist_ok=True)
    groups = {"groups": [{"name": "alone", "rules": rules}]}
    (directory / f"{alert}.rules.yml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    series = [one for one in SERIES["tests"] if one["alert_rule_test"][0]["alertname"] == alert]
    tests = SERIES | {"rule_files": [f"{alert}.rules.yml"], "tests": series}
    file = directory / f"{alert}.yml"
    file.write_text(yaml.safe_dump(tests), encoding="utf-8")
    return str(file)


def test_the_files_are_what_they_should_be(tmp_path: Path) -> None:
    for command in (
        ["check", "rules", str(OBSERVE / "alerts.yml")],
        ["check", "config", str(OBSERVE / "prometheus.yml")],
    ):
        said = _promtool(*command)
        assert said.returncode == 0, said.stdout + said.stderr
    said = _amtool("check-config", str(ALERTMANAGER))
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_each_says_what_it_means_and_where_to_look(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert rule["annotations"]["description"].endswith(".")
    assert not rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_each_reaches_those_whom_it_concerns(severity: str) -> None:
    said = _amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", f"severity={severity}")
    assert said.stdout.split() == [severity]


def test_only_alarms_that_there_are_keep_others_silent() -> None:
    for rule in yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))["inhibit_rules"]:
        sources, targets = (_named(rule[side]) for side in ("source_matchers", "target_matchers"))
        assert sources | targets <= set(ALERTS)
        assert not sources & targets


def _named(matchers: list[str]) -> set[str]:
    [(names,)] = (re.findall(r'^alertname=~?"([\w|]+)"$', matcher) for matcher in matchers)
    return set(names.split("|"))


def _promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(program("promtool", "prometheus"), *arguments)


def _amtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(program("amtool", "prometheus-alertmanager"), *arguments)


def _run(tool: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=120, check=False)
