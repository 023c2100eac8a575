"""Many dispatchers of one deployment: what they take of the database, and their coming and going under load."""

import os
import signal
import time
from collections.abc import Iterator, Sequence

import psutil
import pytest

from sandbox.simulator.faults import Faults
from shared.clock import ticks
from shared.domain.message import MessageState
from tests.e2e.system import System, with_status
from tests.long.conftest import RunSystem, Sendings, now
from tests.services.postgres_servers import PostgresServer, one_server

DISPATCHERS = int(os.environ.get("MANY", "14"))
"""Fifty take half an hour on two cores: `MANY=50 make test-long ARGS="-k come_and_go"`."""

TOGETHER = 5
"""So many start or stop at a time, as a deployment is rolled."""

CLIENTS = 60_000
RATE = 100
"""Messages per second over all of them: so few that this machine has time for the starts of so many processes."""

LONGEST_PAUSE = 2.0
MOST, MOST_OF_LEADER = 3, 6
"""Connections to the database. With the table broker, which is one: one more, and two more for the one that leads."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with one_server() as server:
        yield server


@pytest.fixture
def database_url(server: PostgresServer) -> Iterator[str]:
    server.ask("create database notify")
    yield server.url("notify")
    server.ask("drop database notify with (force)")


def connections(system: System, name: str, server: PostgresServer) -> int:
    """Of a dispatcher, to the database."""
    port = int(server.address.rpartition(":")[2])
    lines = psutil.Process(system.processes.pid(name)).net_connections("tcp")
    return sum(bool(line.raddr) and line.raddr.port == port and line.status == "ESTABLISHED" for line in lines)


def leader(system: System) -> str:
    """The dispatcher that leads: there is one."""

    def found() -> list[str]:
        return [name for name in system.dispatchers if system.metric(name, "feeder_leader")]

    system.until(lambda: len(found()) == 1, "one leads", within=60)
    return found()[0]


def grow(system: System, names: Sequence[str]) -> None:
    """They start, a few at a time, and are ready."""
    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        for name in some:
            system.begin_dispatcher(name)
        for name in some:
            system.processes.wait_line(name, "dispatcher_started", timeout=120)


@pytest.mark.parametrize("count", [10])
def test_with_the_table_broker(run_system: RunSystem, server: PostgresServer, database_url: str, count: int) -> None:
    system = run_system(database_url, None, dispatchers=count)
    system.fill(2_000)
    mailing_id = system.mail()
    messages = system.until_over(mailing_id, within=60)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    leads = leader(system)
    taken = {name: connections(system, name, server) for name in system.dispatchers}
    print(f"leader {taken[leads]}, others {sorted(set(taken.values()))}")
    assert taken.pop(leads) <= MOST_OF_LEADER + 2
    assert max(taken.values()) <= MOST + 1


@pytest.mark.timeout(1200)
def test_they_come_and_go_under_load(
    run_system: RunSystem, server: PostgresServer, database_url: str, rabbitmq_url: str
) -> None:
    """Starting, rolling and stopping all of them costs no repeat and no pause."""
    system = run_system(
        database_url, rabbitmq_url, dispatchers=2, DISPATCH_RATE=str(RATE), DISPATCH_CONCURRENCY="16", LOG_LEVEL="info"
    )
    system.simulator.set_faults(Faults(latency_ms=100))
    system.fill(CLIENTS)
    mailing_id = system.mail(lasts=3600)
    system.until_sent(mailing_id, RATE)
    began_at = now()
    names = [f"dispatcher-{number}" for number in range(1, DISPATCHERS + 1)]
    grow(system, names[2:])
    assert len(system.dispatchers) == DISPATCHERS
    all_at = now()

    leads = leader(system)
    taken = {name: connections(system, name, server) for name in system.dispatchers}
    print(f"connections: leader {taken[leads]}, others {sorted(set(taken.values()))}, in all {sum(taken.values())}")
    assert taken.pop(leads) <= MOST_OF_LEADER
    assert max(taken.values()) <= MOST

    rolling_at = now()
    for start in range(0, DISPATCHERS, TOGETHER):
        some = names[start : start + TOGETHER]
        for name in some:
            system.processes.send(name, signal.SIGTERM)
        grow(system, [f"{name}-new" for name in some])
        assert [system.processes.wait(name, 60) for name in some] == [0] * len(some)
    leader(system)
    rolled_at = now()
    for name in system.dispatchers:
        system.processes.send(name, signal.SIGTERM)
    stopping = list(system.dispatchers)
    assert [system.processes.wait(name, 60) for name in stopping] == [0] * len(stopping)
    system.api.cancel(mailing_id)
    system.start_dispatcher("last")
    messages = system.until_over(mailing_id, within=60)

    received = system.received(mailing_id)
    assert received.keys() == with_status(messages, MessageState.SENT)
    assert {one.count for one in received.values()} == {1}
    sendings = Sendings(system)
    pauses = {
        "starting": sendings.longest_pause(began_at, all_at),
        "all there": sendings.longest_pause(all_at, rolling_at),
        "rolling": sendings.longest_pause(rolling_at, rolled_at),
    }
    print(f"{len(received)} sent; {all_at - began_at:.0f} s to start, {rolled_at - rolling_at:.0f} to roll; {pauses}")
    assert max(pauses.values()) < LONGEST_PAUSE


def test_what_one_more_costs_the_others(
    run_system: RunSystem, server: PostgresServer, database_url: str, rabbitmq_url: str
) -> None:
    """At rest, next to nothing: of its own processor, and of the database's."""
    system = run_system(database_url, rabbitmq_url, dispatchers=10)
    leads = leader(system)
    resting = [psutil.Process(system.processes.pid(name)) for name in system.dispatchers if name != leads]
    ports = [line.laddr.port for process in resting for line in process.net_connections("tcp")]
    rows = server.ask(f"select pid from pg_stat_activity where client_port = any(array{ports})")
    sessions = [psutil.Process(pid) for (pid,) in rows]
    assert len(resting) <= len(sessions) <= MOST * len(resting)
    time.sleep(3)  # what a start brings with it is over
    before, began = (_cpu(resting), _cpu(sessions)), ticks()
    time.sleep(10)
    own, of_database = (
        (after - earlier) / (ticks() - began) / len(resting) * 1000
        for after, earlier in zip((_cpu(resting), _cpu(sessions)), before, strict=True)
    )
    memory = max(process.memory_info().rss for process in resting) / 2**20
    print(f"one more at rest: {own:.1f} ms of CPU a second, {of_database:.1f} of the database's, {memory:.0f} MiB")
    assert of_database < 20


def _cpu(processes: Sequence[psutil.Process]) -> float:
    """Seconds."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
