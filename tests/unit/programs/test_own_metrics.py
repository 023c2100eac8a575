"""Which process shows which metrics."""

import tomllib
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from shared import metrics
from shared.own_metrics import API, DISPATCHER, OF_THE_PROCESS, REPORTER, registry_of
from shared.version import VERSION

DECLARED = {metric._name for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)}


def _shown(*prefixes: str) -> set[str]:
    return {metric.name for metric in registry_of(*prefixes, source=REGISTRY).collect()}


def test_every_metric_is_shown_by_somebody_and_what_two_move_by_both() -> None:
    by_process = [_shown(*API) & DECLARED, _shown(*DISPATCHER) & DECLARED, _shown(*REPORTER) & DECLARED]
    assert set().union(*by_process) == DECLARED
    assert by_process[0] & by_process[1] == {"messages_left_out"}
    assert not by_process[2] & (by_process[0] | by_process[1])


@pytest.mark.parametrize("prefixes", [DISPATCHER, REPORTER])
def test_when_a_process_was_started_is_its_own(prefixes: tuple[str, ...]) -> None:
    assert "process_start_time_seconds" in _shown(*prefixes, *OF_THE_PROCESS)


@pytest.mark.parametrize("prefixes", [API, DISPATCHER, REPORTER])
def test_each_shows_the_version_that_the_project_has(prefixes: tuple[str, ...]) -> None:
    assert registry_of(*prefixes, source=REGISTRY).get_sample_value("service_info", {"version": VERSION}) == 1
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION
