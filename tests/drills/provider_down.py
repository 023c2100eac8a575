"""provider-down."""

from sandbox.simulator.outage import Mode
from tests.drills.drill import Drill
from tests.drills.scene import Scene


class ProviderDown(Drill):
    """The page has no command: whoever reads it can only wait, or let others take what waits."""

    sentence = "The only provider goes away; when it is back, what waits goes out at once."
    alarms = ("ProviderDown",)
    page = "provider-down"
    says = (
        'curl -H "$KEY" localhost:8000/providers/',
        "`unreachable`",
        "what waits is due at once when it serves",
        "It mends itself when the provider does.",
    )

    def bring_about(self, scene: Scene) -> str:
        scene.system.simulator.outage(Mode.REFUSE)
        return "the provider refuses connections"

    def look(self, scene: Scene) -> str:
        (provider,) = scene.system.api.providers()
        assert provider["state"] == "down", provider
        waiting = scene.system.figures(min(scene.audiences))
        return f"GET /providers/: {provider['name']} is {provider['state']}; {waiting['pending']} messages wait"

    def remedy(self, scene: Scene) -> str:
        scene.system.simulator.end_outage()
        return "the provider serves again"
