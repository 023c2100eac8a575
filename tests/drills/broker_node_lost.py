"""broker-node-lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills.drill import Drill
from tests.drills.ground import Ground, own_database
from tests.drills.scene import CLIENTS, Scene
from tests.support.rabbitmq import server_program
from tests.support.rabbitmq_cluster import cluster


class BrokerNodeLost(Drill):
    """Of one node of three nobody notices anything, as it is promised: the alarm is for the second one."""

    sentence = (
        "One RabbitMQ node of three is lost and nothing happens; another one, and sending waits until they are back."
    )
    alarms = ("BrokerUnreachable",)
    page = "broker-unreachable"
    says = (
        "sum by (instance) (increase(dispatcher_broker_reconnects_total[5m]))",
        "Mailings are taken and begin, and wait.",
        "It is down: start it.",
        "Of three nodes two must be there.",
        "nothing is in it alone",
    )

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        with cluster(server_program()) as self._nodes:
            self._url = self._nodes.vhost()
            with own_database(self._url) as ground:
                yield ground

    def bring_about(self, scene: Scene) -> str:
        first = self._nodes.in_use(self._url)
        self._nodes.nodes[first].stop()
        sent = scene.system.figures(min(scene.audiences))["sent"]
        more = scene.system.until_sent(min(scene.audiences), sent + CLIENTS // 8)["sent"] - sent
        scene.mail()
        second = self._nodes.in_use(self._url)
        self._nodes.nodes[second].stop()
        return f"node {first} is lost: {more} are sent all the same; then node {second}, too"

    def look(self, scene: Scene) -> str:
        again = scene.watcher.query("sum by (instance) (increase(dispatcher_broker_reconnects_total[5m])) > 0")
        assert again, "no dispatcher has lost its connection"
        begun = max(scene.audiences)
        scene.system.until_figures(begun, lambda now: now["audience"] == CLIENTS, "it begins all the same")
        return f"{len(again)} dispatchers connect again and again; mailing {begun} has begun, and waits"

    def remedy(self, scene: Scene) -> str:
        self._nodes.start()
        return "both nodes run again"
