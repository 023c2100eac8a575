"""Many dispatchers of one deployment: what they take of the database, and their coming and going under load."""

import signal
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import psutil
import pytest

from sandbox.simulator.faults import Faults
from shared.clock import ticks
from shared.domain.message import MessageState
from tests.e2e.system import System, is_over, with_status
from tests.long.conftest import RunSystem, Sendings, now
from tests.support.postgres_servers import PostgresServer, one_server

DISPATCHERS = 50
FEW = 10
"""So many are there before the others come: what one more costs is the difference, by their number."""

TOGETHER = 10
"""So many start or stop at a time, as a deployment is rolled."""

RATE, CLIENTS = 25, 30_000
"""Messages per second over all of them, so few that two processors have time for the starts of a hundred processes; and
enough for as long as those may take on a busy machine."""

MEASURED = 10.0
"""Seconds."""

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
            system.processes.wait_line(name, "dispatcher_started", timeout=240)


@pytest.mark.parametrize("count", [10])
def test_with_the_table_broker(run_system: RunSystem, server: PostgresServer, database_url: str, count: int) -> None:
    system = run_system(database_url, None, dispatchers=count)
    system.fill(2_000)
    mailing_id = system.mail()
    messages = system.until_over(mailing_id, within=120)
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
    """Starting, rolling and stopping all of them costs no repeat and no pause; and one more costs the others nothing
    that could be felt."""
    system = run_system(
        database_url, rabbitmq_url, dispatchers=2, DISPATCH_RATE=str(RATE), DISPATCH_CONCURRENCY="16", LOG_LEVEL="info"
    )
    system.simulator.set_faults(Faults(latency_ms=100))
    names = [f"dispatcher-{number}" for number in range(1, DISPATCHERS + 1)]
    grow(system, names[2:FEW])
    leads = leader(system)
    few_at_rest = cost(system, server, leads)
    system.fill(CLIENTS)
    mailing_id = system.mail(lasts=3600)
    system.until_sent(mailing_id, RATE, within=120)
    few = cost(system, server, leads)
    began_at = now()
    grow(system, names[FEW:])
    assert len(system.dispatchers) == DISPATCHERS
    all_at = now()
    leads = leader(system)
    taken = {name: connections(system, name, server) for name in system.dispatchers}
    print(f"connections: leader {taken[leads]}, others {sorted(set(taken.values()))}, in all {sum(taken.values())}")
    assert taken.pop(leads) <= MOST_OF_LEADER
    assert max(taken.values()) <= MOST
    many = cost(system, server, leads)
    system.api.pause(mailing_id)
    many_at_rest = cost(system, server, leads)
    memory = max(psutil.Process(system.processes.pid(name)).memory_info().rss for name in taken) / 2**20
    system.api.resume(mailing_id)

    rolling_at = now()
    for start in range(0, DISPATCHERS, TOGETHER):
        some = names[start : start + TOGETHER]
        for name in some:
            system.processes.send(name, signal.SIGTERM)
        grow(system, [f"{name}-new" for name in some])
        assert [system.processes.wait(name, 60) for name in some] == [0] * len(some)
    leader(system)
    rolled_at = now()
    stopping = system.dispatchers[1:]
    for name in stopping:
        system.processes.send(name, signal.SIGTERM)
    assert [system.processes.wait(name, 60) for name in stopping] == [0] * len(stopping)
    leader(system)
    stopped_at = now()
    system.api.cancel(mailing_id)
    figures = system.until_figures(mailing_id, is_over, "every message in a final state", within=120)

    received = system.simulator.received()  # of the one mailing; to list all of its messages would take minutes
    assert len(received) == figures["sent"]
    assert {one.count for one in received.values()} == {1}
    sendings = Sendings(system)
    pauses = {
        "starting": sendings.longest_pause(began_at, all_at),
        "all there": sendings.longest_pause(all_at, many.until),
        "rolling": sendings.longest_pause(rolling_at, rolled_at),
        "stopping": sendings.longest_pause(rolled_at, stopped_at),
    }
    print(f"{len(received)} sent; {all_at - began_at:.0f} s to start, {rolled_at - rolling_at:.0f} to roll; {pauses}")
    print(f"CPU a second at rest with {FEW}: {few_at_rest}; with {DISPATCHERS}: {many_at_rest}; {memory:.0f} MiB each")
    print(f"CPU a second at {RATE} messages a second with {FEW}: {few}; with {DISPATCHERS}: {many}")
    one_more_at_rest = (many_at_rest.of_database - few_at_rest.of_database) / (DISPATCHERS - FEW)
    one_more = (many.of_database - few.of_database) / (DISPATCHERS - FEW)
    print(f"one more: {one_more_at_rest * 1000:.1f} ms of the database's at rest, {one_more * 1000:.1f} while it sends")
    rates = [sendings.rate(one.since, one.until) for one in (few, many)]
    print(f"messages a second with {FEW}: {rates[0]:.1f}; with {DISPATCHERS}: {rates[1]:.1f}")
    assert max(pauses.values()) < LONGEST_PAUSE
    assert few_at_rest.of_database / FEW < 0.02
    assert one_more < 0.02
    assert min(rates) > 0.8 * RATE


class Cost(NamedTuple):
    """Seconds of CPU a second. of_one: a dispatcher that does not lead. since, until: Unix times."""

    since: float
    until: float
    of_database: float
    of_leader: float
    of_one: float

    def __str__(self) -> str:
        one, leads, database = (f"{seconds * 1000:.1f}" for seconds in (self.of_one, self.of_leader, self.of_database))
        return f"a dispatcher {one} ms, the leader's {leads}, the database {database}"


def cost(system: System, server: PostgresServer, leads: str) -> Cost:
    """Over a while in which nobody comes or goes."""
    time.sleep(3)  # what a start brings with it is over
    processes = {name: psutil.Process(system.processes.pid(name)) for name in system.dispatchers}

    def seconds() -> tuple[float, float, float]:
        used = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
        leaders = used.pop(leads)
        return server.cpu_seconds(), leaders, sum(used.values()) / len(used)

    since, before, began = now(), seconds(), ticks()
    time.sleep(MEASURED)
    after, lasted, until = seconds(), ticks() - began, now()
    return Cost(since, until, *((late - early) / lasted for early, late in zip(before, after, strict=True)))
