"""Which metrics may be asked for, with which labels: what the code declares, the rules record, and Prometheus adds."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from shared import metrics

ALERTS = Path(__file__).parents[2] / "deploy" / "observe" / "alerts.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
]

BESIDE = {
    "up": set(),
    "process_start_time_seconds": set(),
    "service_info": {"version"},
    "ALERTS": {"alertname", "alertstate", "severity"},
}
"""Metrics that are not declared: of Prometheus, and of each process."""

OF_THE_SCRAPER = {"job", "instance"}


def declared() -> dict[str, set[str]]:
    """The labels of every sample that the product declares, by its name."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            labels = set(metric._labelnames)
            match metric:
                case Counter():
                    found[f"{metric._name}_total"] = labels
                case Histogram():
                    found[f"{metric._name}_bucket"] = labels | {"le"}
                case _:
                    found[metric._name] = labels
    return found


def _grouped_by(expression: str) -> set[str]:
    return {label for one in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.findall(r"\w+", one)}


KNOWN: Mapping[str, set[str]] = (
    BESIDE | declared() | {rule["record"]: _grouped_by(rule["expr"]) for rule in RULES if "record" in rule}
)
"""The labels of every sample, by its name."""


def names_in(expression: str) -> set[str]:
    """The metrics that it asks for."""
    bare = re.sub(r"(\{[^}]*\}|\[[^]]*\]|\b(?:by|on) \([^)]*\))", "", expression)
    return set(re.findall(r"\b(?:up|ALERTS|[a-z]+_\w+|[a-z]+:[\w:]+)\b", bare)) - {"histogram_quantile"}


def what_is_unknown(expression: str, shown: Iterable[str] = ()) -> str:
    """What an expression asks for that nobody declares; "" where there is no such thing. shown: labels that people are
    shown of its samples."""
    names = names_in(expression)
    if not names:
        return "no metric"
    if unknown := names - KNOWN.keys():
        return f"metrics {sorted(unknown)}"
    asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)) | _grouped_by(expression) | set(shown)
    if unknown := asked - set().union(*(KNOWN[name] for name in names)) - OF_THE_SCRAPER:
        return f"labels {sorted(unknown)} of {sorted(names)}"
    return ""


def counters_missing(page: str, *prefixes: str) -> set[str]:
    """Counters with labels of which a page of metrics has no sample, of those whose names begin so."""
    labelled = {name for name, labels in declared().items() if name.endswith("_total") and labels}
    shown = {sample.name for family in text_string_to_metric_families(page) for sample in family.samples}
    return {name for name in labelled if name.startswith(prefixes)} - shown
