"""Systems for the tests: of their own, or one that those share which leave it whole."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import Place, System
from tests.support.new_database import MIGRATED, new_database
from tests.support.wall_clock import WallClock

BROKERS = ("table", "rabbitmq")

StartSystem = Callable[..., System]

_running: list[System] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows where the systems stand."""
    report = yield
    if report.failed and call.when == "call":
        report.sections += [("the system", system.story()) for system in _running]
    return report


@pytest.fixture(scope="session", params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    """Which one carries the jobs. A test that asks for it runs once on each."""
    return str(request.param)


@contextmanager
def place(request: pytest.FixtureRequest, broker: str) -> Iterator[Place]:
    """A migrated database with nothing in it, and an empty broker."""
    directory: Path = request.getfixturevalue("tmp_path_factory").mktemp("system")
    with new_database(request.getfixturevalue("postgres"), MIGRATED) as database_url:
        if broker == "table":
            yield Place(database_url, None, directory, is_migrated=True)
            return
        rabbitmq = request.getfixturevalue("rabbitmq")
        url = rabbitmq.vhost()
        try:
            yield Place(database_url, url, directory, is_migrated=True)
        finally:
            rabbitmq.remove(url)


@contextmanager
def running(
    place: Place,
    *options: str,
    dispatchers: int = 2,
    module: str = "dispatcher_service",
    clock: WallClock | None = None,
    **settings: str,
) -> Iterator[System]:
    with System(place, settings, *options, module=module, clock=clock) as system:
        _running.append(system)
        try:
            system.start(dispatchers)
            yield system
        finally:
            _running.remove(system)


@pytest.fixture
def start_system(request: pytest.FixtureRequest) -> Iterator[StartSystem]:
    """Starts a system for this test alone: (broker, options of the simulator …, dispatchers=2, SETTING="value" …)."""
    with ExitStack() as stack:

        def start(broker: str, *options: str, **more: Any) -> System:
            where = stack.enter_context(place(request, broker))
            return stack.enter_context(running(where, *options, **more))

        yield start
