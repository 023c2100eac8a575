"""leader-frozen."""

import json
import signal
from collections.abc import Mapping

from tests.drills.drill import Drill
from tests.drills.ground import Ground
from tests.drills.scene import CALLS, Scene
from tests.faults.stage import DISPATCHER


class LeaderFrozen(Drill):
    """Leases, and how long a leader may be silent, are shorter than in a deployment, as alarms are quicker."""

    sentence = "The dispatcher that leads hangs; another one takes over, and the one that hangs is killed and replaced."
    alarms = ("ProcessDown",)
    page = "process-down"
    says = (
        "`docker kill CONTAINER`",
        "`docker compose up -d`",
        "its messages are asked for again when their leases have run out",
        "Another one leads within a quarter of a minute",
    )
    repeats = 2 * CALLS
    module = DISPATCHER

    def settings(self, ground: Ground) -> Mapping[str, str]:
        quick = {
            "dispatcher_service.pipeline.worker.LEASE_MARGIN": 6.0,
            "dispatcher_service.pipeline.worker.OWN_MARGIN": 3.0,
            "dispatcher_service.leading.lead.SILENCE": 5.0,
        }
        return {"CONSTANTS": json.dumps(quick)}

    def bring_about(self, scene: Scene) -> str:
        self._frozen = scene.leader()
        scene.system.processes.send(self._frozen, signal.SIGSTOP)
        return f"{self._frozen}, which leads, hangs"

    def look(self, scene: Scene) -> str:
        scene.system.until(lambda: len(scene.watcher.query("feeder_leader == 1")) == 1, "another one leads")
        leads = scene.leader()
        assert leads != self._frozen
        return f"{leads} leads"

    def remedy(self, scene: Scene) -> str:
        scene.system.processes.kill(self._frozen)
        scene.start_again(self._frozen)
        return f"{self._frozen} is killed, and started again"

    def check(self, scene: Scene) -> str:
        assert scene.leader() != self._frozen
        return f"{scene.leader()} leads still"
