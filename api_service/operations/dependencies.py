"""What the service depends on, for whoever watches it: as `/health/ready` says it, whether somebody asks or not."""

from collections.abc import Mapping

from api_service.operations.probe import Probe
from shared.clock import ticks
from shared.metrics import DEPENDENCY_UP

PAUSE = 10.0


class Dependencies:
    """`look` every second or so; it waits as long as the probes do."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._next_at = 0.0  # in ticks

    def look(self) -> None:
        if ticks() < self._next_at:
            return
        self._next_at = ticks() + PAUSE
        for probe in self._probes.values():
            probe.ask()
        for name, probe in self._probes.items():
            DEPENDENCY_UP.labels(name).set(probe.answers())
