"""What a process shows of the metrics that the product declares: its own. Any other would be a zero of somebody who
knows nothing of it."""

import time
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.version import VERSION

DISPATCHER = ("dispatcher_", "feeder_", "messages_")
REPORTER = ("reporter_",)
API = ("api_", "messages_")
OF_THE_PROCESS = ("process_", "python_")


def registry_of(*prefixes: str, source: Collector = REGISTRY) -> CollectorRegistry:
    """The metrics of a source whose names begin so, and the version that runs."""
    registry = CollectorRegistry()
    registry.register(_Own(source, prefixes))
    registry.register(_Info())
    return registry


class Since(Collector):
    """When a service of several processes was started: `process_start_time_seconds`, as each of one process has it."""

    def __init__(self) -> None:
        self._at = time.time()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("process_start_time_seconds", "Unix time at which the service was started", self._at)


class _Info(Collector):
    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("service_info", "1, with the version that runs", labels=["version"])
        info.add_metric([VERSION], 1)
        yield info


class _Own(Collector):
    def __init__(self, source: Collector, prefixes: tuple[str, ...]) -> None:
        self._source, self._prefixes = source, prefixes

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._source.collect() if metric.name.startswith(self._prefixes))
