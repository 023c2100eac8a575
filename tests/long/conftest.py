"""Systems whose servers are several, and what was seen of them.

Whatever these tests need they bring. They look at the product from outside: at its API and at what the provider got.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import pytest_runtest_makereport, running
from tests.e2e.system import Place, System

__all__ = ["pytest_runtest_makereport"]  # a test that fails shows where the systems stand

RunSystem = Callable[..., System]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/long/" in item.nodeid and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def run_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunSystem]:
    """Starts a system for this test: (database_url, broker_url, options of the simulator …, dispatchers=2,
    SETTING="value" …)."""
    for place in {"database_url", "rabbitmq_url"} & set(request.fixturenames):
        request.getfixturevalue(place)  # made before it, and gone after it: else what is unrecorded finds nothing
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def run(database_url: str, broker_url: str | None, *options: str, **more: Any) -> System:
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            settings = {"PROVIDER_TIMEOUT": PATIENCE, **more}
            return stack.enter_context(running(Place(database_url, broker_url, directory), *options, **settings))

        yield run


PATIENCE = "15"
"""Seconds for a call: on a machine that is busy with all these servers, one that was slow is not to be repeated."""


GATE = """
[providers.gate]
preset = "seed"
url = "http://127.0.0.1:{port}/v1/send/{{id}}"
plaintext = true
secrets = {{ token = "env:GATE_TOKEN", receipts = "env:RECEIPTS_SECRET" }}

[providers.gate.receipts]
list = ""
id = "id"
status = "status"
reason = "reason"
values = {{ queued = "awaiting", delivered = "delivered", failed = "undelivered" }}
authentication = {{ kind = "path", secret = "{{receipts}}" }}
"""
"""A file of one provider: the simulator at that port, whose receipts come by a secret path."""


class Sendings:
    """When the provider got its requests: Unix times, the first of each message, in their order."""

    def __init__(self, system: System) -> None:
        self.times = sorted(one.first_at for one in system.simulator.received().values())

    def next_after(self, moment: float) -> float:
        """Seconds until the next one."""
        return min((at for at in self.times if at >= moment), default=float("inf")) - moment

    def longest_pause(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Seconds between two of them."""
        times = [at for at in self.times if since <= at <= until]
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    def rate(self, since: float, until: float) -> float:
        """Messages per second."""
        return sum(since <= at < until for at in self.times) / (until - since)


def now() -> float:
    """Unix time, as the provider has it."""
    return time.time()
