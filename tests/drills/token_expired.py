"""token-expired."""

from collections.abc import Mapping

from sandbox.processes import free_port
from tests.drills.drill import Drill
from tests.drills.ground import Ground
from tests.drills.scene import Scene

PROFILE = """
[providers.gate]
preset = "seed"
url = "http://127.0.0.1:{port}/v1/send/{{id}}"
plaintext = true
secrets = {{ token = "file:{secret}" }}
"""
OLD, NEW = "drill-token-of-the-old-year", "drill-token-of-the-new-year"


class TokenExpired(Drill):
    sentence = "The token of the provider has run out; the new one is put into the file that the profile names."
    alarms = ("CredentialsRefused",)
    page = "credentials-refused"
    says = (
        "`unauthorized`: the token or password is wrong or has run out.",
        "Put the new one where the profile has its secret from; a file is read again by itself",
        "It goes on by itself when a call is accepted.",
    )

    def settings(self, ground: Ground) -> Mapping[str, str]:
        self._port, self._secret = free_port(), ground.directory / "token"
        self._secret.write_text(OLD)
        profile = ground.directory / "providers.toml"
        profile.write_text(PROFILE.format(port=self._port, secret=self._secret))
        return {"PROVIDERS_FILE": str(profile), "PROVIDER_URL": ""}

    def options(self) -> tuple[str, ...]:
        return "--port", str(self._port), "--token", OLD

    def bring_about(self, scene: Scene) -> str:
        scene.system.simulator.set_token(NEW)
        return "the provider answers 401"

    def look(self, scene: Scene) -> str:
        (provider,) = scene.system.api.providers()
        assert (provider["state"], provider["down_because"]) == ("down", "unauthorized"), provider
        return "GET /providers/: gate is down, because unauthorized"

    def remedy(self, scene: Scene) -> str:
        self._secret.write_text(NEW)
        return "the new token is in the file"

    def check(self, scene: Scene) -> str:
        messages = scene.system.api.messages(min(scene.audiences))
        assert {message["attempts"] for message in messages} == {1}
        return "no attempt was spent"
