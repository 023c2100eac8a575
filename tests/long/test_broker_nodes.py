"""Nodes of a RabbitMQ of three are lost under load."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from sandbox.simulator.faults import Faults
from shared.broker import topology
from shared.broker.rabbitmq import RabbitMQ
from shared.clock import ticks
from shared.domain.message import MessageState
from shared.domain.retry import DEFAULT_LADDER
from tests.drills import rules as of_rules
from tests.drills.broker_node_lost import BrokerNodeLost
from tests.drills.run import run
from tests.e2e.system import System, with_status
from tests.long.conftest import RunSystem, Sendings, now
from tests.support import rabbitmq_4
from tests.support.rabbitmq import server_program
from tests.support.rabbitmq_cluster import Cluster, cluster

CLIENTS = 3_000
STEADY = Faults(latency_ms=100)
CALLS = 32
"""A dispatcher's, at a time: two of them send 640 messages per second."""


PROGRAMS = {"the installed one": server_program, "RabbitMQ 4": rabbitmq_4.server_program}
if rabbitmq_4.is_installed():
    del PROGRAMS["RabbitMQ 4"]


@pytest.fixture(scope="module", params=PROGRAMS)
def running_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with cluster(PROGRAMS[request.param]()) as made:
        yield made


@pytest.fixture
def nodes(running_cluster: Cluster) -> Iterator[Cluster]:
    """All three serve, before the test and after it."""
    yield running_cluster
    running_cluster.start()


def start(run_system: RunSystem, database_url: str, broker_url: str) -> System:
    system = run_system(database_url, broker_url, DISPATCH_CONCURRENCY=str(CALLS))
    system.simulator.set_faults(STEADY)
    return system


def assert_sent_once(system: System, *mailing_ids: int) -> None:
    for mailing_id in mailing_ids:
        messages = system.until_over(mailing_id, within=120)
        assert len(messages) == CLIENTS
        assert with_status(messages, MessageState.SENT) == messages.keys()
    received = system.simulator.received()
    assert len(received) == CLIENTS * len(mailing_ids)
    assert {one.count for one in received.values()} == {1}


@pytest.mark.parametrize(
    "which",
    [Cluster.in_use, lambda nodes, url: nodes.leader(url, topology.DISPATCH)],
    ids=["the one in use", "the leader of the queue"],
)
def test_a_node_is_killed(
    run_system: RunSystem, database_url: str, nodes: Cluster, which: Callable[[Cluster, str], str]
) -> None:
    url = nodes.vhost()
    system = start(run_system, database_url, url)
    assert set(nodes.copies(url).values()) == {3}
    system.fill(CLIENTS)
    chosen = nodes.nodes[which(nodes, url)]
    mailing_id = system.mail()
    system.until_sent(mailing_id, CLIENTS // 4, within=120)
    chosen.stop()
    killed_at = now()

    assert_sent_once(system, mailing_id)
    pause = Sendings(system).longest_pause(since=killed_at - 1)
    print(f"longest pause {pause:.1f} s")
    assert pause < 10


def test_two_of_three_are_away(run_system: RunSystem, database_url: str, nodes: Cluster) -> None:
    """Sending waits. Mailings are taken, launched and ended meanwhile; and nothing is lost."""
    url = nodes.vhost()
    system = start(run_system, database_url, url)
    system.fill(CLIENTS)
    first = system.mail()
    system.until_sent(first, CLIENTS // 4, within=120)
    lost_at = now()
    for name in ("one", "two"):
        nodes.nodes[name].stop()
    asked_at = ticks()
    second = system.mail()
    ending = system.mail(lasts=4)
    assert ticks() - asked_at < 5, "creating a mailing waits for the broker"

    system.until_figures(second, lambda figures: figures["audience"] == CLIENTS, "it is launched")
    expired = system.until_over(ending)
    assert len(expired) == CLIENTS
    assert with_status(expired, MessageState.EXPIRED) == expired.keys()
    assert system.figures(first)["sent"] < CLIENTS

    nodes.start()
    assert_sent_once(system, first, second)
    print(f"sending waited for {Sendings(system).longest_pause(since=lost_at):.1f} s, the start of two nodes included")


@pytest.mark.parametrize("running_cluster", ["the installed one"], indirect=True)
def test_the_drill(nodes: Cluster) -> None:
    said: list[str] = []
    assert run(BrokerNodeLost(nodes), of_rules.load(), said.append), "\n".join(said)
    print(*said, sep="\n")


def test_a_queue_whose_leader_is_lost_takes_jobs_again_at_once(nodes: Cluster) -> None:
    """Also where the connection was made before the queue had another leader."""
    url = nodes.vhost()
    broker = RabbitMQ(url, DEFAULT_LADDER)
    for _ in range(2):
        with closing(broker.connect()) as session:
            session.publish(topology.DISPATCH, [b"before"])
            nodes.nodes[nodes.leader(url, topology.DISPATCH)].stop()
        lost_at = ticks()
        with closing(broker.connect()) as session:
            session.publish(topology.DISPATCH, [b"after"])
        print(f"{ticks() - lost_at:.2f} s")
        assert ticks() - lost_at < 4
        nodes.start()
