"""broker-node-lost."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from shared.broker import rabbitmq
from tests.drills.drill import Drill
from tests.drills.ground import Ground, own_database
from tests.drills.scene import CLIENTS, Scene
from tests.faults.stage import DISPATCHER
from tests.support.rabbitmq import server_program
from tests.support.rabbitmq_cluster import Cluster, cluster

PATIENCE = 2.0
"""Seconds. A pause of at most two follows, so a connection is lost each four seconds. Quick rules look back on six."""

AGAIN = "sum by (instance) (increase(dispatcher_broker_reconnects_total[5m]))"


class BrokerNodeLost(Drill):
    """Of one node of three nobody notices anything, as it is promised: the alarm is for the second one.

    Then the last one answers, and does nothing. A dispatcher gives it up when its patience is over, and begins anew.
    In a deployment that takes 12 s, and rules look back on two minutes: the patience is shorter, as alarms are quicker.
    """

    sentence = (
        "One RabbitMQ node of three is lost and nothing happens; another one, and sending waits until it is back."
    )
    alarms = ("BrokerUnreachable",)
    page = "broker-unreachable"
    says = (
        AGAIN,
        "Mailings are taken and begin, and wait.",
        "It is down: start it.",
        "Of three nodes two must be there.",
        "nothing is in it alone",
    )
    module = DISPATCHER

    def __init__(self, nodes: Cluster | None = None) -> None:
        """nodes: a cluster that serves, and is left without one of its nodes; None: one of its own."""
        self._given = nodes

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        with ExitStack() as stack:
            self._nodes = self._given or stack.enter_context(cluster(server_program()))
            self._url = self._nodes.vhost()
            yield stack.enter_context(own_database(self._url))

    def settings(self, ground: Ground) -> Mapping[str, str]:
        waits = {"heartbeat": rabbitmq.HEARTBEAT, "patience": PATIENCE, "renew_after": rabbitmq.RENEW_AFTER}
        return {"CONSTANTS": json.dumps({"shared.broker.rabbitmq.RabbitMQ.__init__.__kwdefaults__": waits})}

    def bring_about(self, scene: Scene) -> str:
        nodes, system, mailing_id = self._nodes.nodes, scene.system, min(scene.audiences)
        first = self._nodes.in_use(self._url)
        self._lost = next(name for name in nodes if name != first)
        nodes[first].stop()
        sent = system.figures(mailing_id)["sent"]
        more = system.until_sent(mailing_id, sent + CLIENTS // 8)["sent"] - sent
        nodes[self._lost].stop()
        self._waiting = scene.mail()
        return f"node {first} is lost, and {more} more are sent; then node {self._lost}, too"

    def look(self, scene: Scene) -> str:
        again = scene.watcher.query(f"{AGAIN} > 0")
        assert again, "no dispatcher has lost its connection"
        figures = scene.system.until_figures(self._waiting, lambda now: now["audience"] == CLIENTS, "it begins")
        assert figures["sent"] == 0, figures
        return f"{len(again)} dispatchers connect again and again; mailing {self._waiting} has begun, and waits"

    def remedy(self, scene: Scene) -> str:
        self._nodes.start(self._lost)
        return f"node {self._lost} runs again: they are two"
