"""The provider of a test: the simulator, as a process of its own on free ports.

For a test module: `pytest_plugins = ("tests.support.provider",)`, and then the fixtures by name.
"""

import itertools
from collections.abc import Callable, Iterator

import pytest

from sandbox.processes import Processes
from sandbox.simulator.control import READY, Simulator

StartSimulator = Callable[..., Simulator]


@pytest.fixture
def start_simulator() -> Iterator[StartSimulator]:
    """Starts one more simulator, with these arguments of its command line."""
    printed: list[str] = []
    names = (f"simulator-{number}" for number in itertools.count(1))
    started: list[tuple[str, Simulator]] = []
    with Processes(lambda _name, line: printed.append(line)) as processes:

        def start(*arguments: str) -> Simulator:
            name = next(names)
            processes.start(name, "sandbox.simulator", None, "--port", "0", *arguments)
            simulator = Simulator.announced(processes.wait_line(name, READY).string)
            started.append((name, simulator))
            return simulator

        yield start
        for name, simulator in started:
            simulator.close()
            assert processes.stop(name) == 0
    assert [line for line in printed if not line.startswith("provider simulator: ")] == []  # no traceback, no warning


@pytest.fixture
def simulator(start_simulator: StartSimulator) -> Simulator:
    """One without faults."""
    return start_simulator()
