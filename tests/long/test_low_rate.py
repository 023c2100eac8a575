"""DISPATCH_RATE, with any number of dispatchers: it is kept, and nobody has messages that may not be sent yet."""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from shared import clock
from tests.e2e.system import System
from tests.faults.stage import DISPATCHER
from tests.long.conftest import RunSystem
from tests.support.postgres_servers import PostgresServer, one_server

RATE = 20
WATCHED = 3.0
"""Seconds after which nothing comes any more, if nothing came before."""

MEASURED = 10 * RATE
"""Messages over which the rate is measured, after those of the first second."""

TOGETHER = 10
"""So many dispatchers start at a time: each takes a second of CPU."""

Act = Callable[[System, int], float]
"""What is done to a mailing; the Unix time from which on nothing more of it is to come."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that has connections for fifty dispatchers."""
    with one_server() as server:
        yield server


@pytest.fixture
def database_url(server: PostgresServer) -> Iterator[str]:
    server.ask("create database notify")
    yield server.url("notify")
    server.ask("drop database notify with (force)")


def pause(system: System, mailing_id: int) -> float:
    system.api.pause(mailing_id)
    return clock.now().timestamp()


def cancel(system: System, mailing_id: int) -> float:
    system.api.cancel(mailing_id)
    return clock.now().timestamp()


def end(system: System, mailing_id: int) -> float:
    ends_at = clock.now() + timedelta(seconds=1)
    system.api.change_mailing(mailing_id, ends_at=ends_at)
    return ends_at.timestamp()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("dispatchers", "jobs"), [(1, "once"), (10, "once"), (50, "once"), (10, "twice")])
def test_a_low_rate_is_kept_and_delays_no_pause_cancel_or_end(
    database_url: str, rabbitmq_url: str, run_system: RunSystem, dispatchers: int, jobs: str
) -> None:
    """Also where half of all jobs are stale, as each comes twice."""
    system = run_system(
        database_url,
        rabbitmq_url,
        dispatchers=0,
        module=DISPATCHER,
        DISPATCH_RATE=str(RATE),
        DISPATCH_CONCURRENCY="16",
        JOBS=jobs,
        LOG_LEVEL="info",
    )
    system.fill(1_000)
    names = [f"dispatcher-{number}" for number in range(1, dispatchers + 1)]
    for start in range(0, dispatchers, TOGETHER):
        some = names[start : start + TOGETHER]
        for name in some:
            system.begin_dispatcher(name)
        for name in some:
            system.processes.wait_line(name, "dispatcher_started", timeout=240)

    late: dict[str, float] = {}
    for act, after in ((pause, RATE + MEASURED), (cancel, 2 * RATE), (end, 2 * RATE)):
        mailing_id, before = system.mail(), system.simulator.summary().received
        system.until(lambda: system.simulator.summary().received > before + after, "it is under way", 60)  # noqa: B023
        acted_at = act(system, mailing_id)
        time.sleep(WATCHED)
        last = system.simulator.summary().last_received_at
        assert last is not None
        late[act.__name__] = round(last - acted_at, 2)

    times = sorted(one.first_at for one in system.simulator.received().values())[: RATE + MEASURED]
    rate = (len(times) - RATE) / (times[-1] - times[RATE - 1])
    longest = max(after - one for one, after in itertools.pairwise(times[RATE:]))
    print(f"{rate:.2f} a second, {longest:.2f} s at the most between two; the last ones after {late} s")
    assert max(late.values()) < 1.0, late
    assert rate == pytest.approx(RATE, rel=0.05)
