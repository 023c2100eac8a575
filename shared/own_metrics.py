"""What a process shows of the metrics that the product declares: its own. Any other would be a zero of somebody who
knows nothing of it."""

import time
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

DISPATCHER = ("dispatcher_", "feeder_", "messages_")
REPORTER = ("reporter_",)
API = ("api_", "messages_")
OF_THE_PROCESS = ("process_", "python_")


def registry_of(*prefixes: str, source: Collector = REGISTRY) -> CollectorRegistry:
    """The metrics of a source whose names begin so."""
    registry = CollectorRegistry()
    registry.register(_Own(source, prefixes))
    return registry


class Since(Collector):
    """When a service of several processes was started: `process_start_time_seconds`, as each of one process has it."""

    def __init__(self) -> None:
        self._at = time.time()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("process_start_time_seconds", "Unix time at which the service was started", self._at)


class _Own(Collector):
    def __init__(self, source: Collector, prefixes: tuple[str, ...]) -> None:
        self._source, self._prefixes = source, prefixes

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._source.collect() if metric.name.startswith(self._prefixes))
