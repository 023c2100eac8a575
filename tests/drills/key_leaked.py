"""key-leaked."""

import threading
from typing import Any

import requests

from notification_client import ApiClient
from shared.clock import ticks
from tests.drills.drill import Drill
from tests.drills.scene import Scene
from tests.support.waiting import patience

FRESH = 5.0
"""Seconds for which a process of the API may still take a key that opens nothing any more."""

EVERY = 0.1
"""Seconds between two requests of the stranger."""


class KeyLeaked(Drill):
    """A stranger with a true key looks like its owner: what is heard is that they go on after it was revoked."""

    sentence = "A stranger has a key of ours: it is revoked, its owner gets another, what the stranger did is undone."
    alarms = ("KeysTried",)
    page = "key-leaked"
    says = (
        "python -m api_service keys rotate ID --overlap 0",
        "python -m api_service keys revoke ID",
        "/audit/?by=key%20ID",
        "opens nothing within five seconds",
        "[KeysTried](keys-tried.md)",
        "-X DELETE localhost:8000/mailings/",
    )

    _stranger: "_Stranger | None" = None

    def prepare(self, scene: Scene) -> None:
        """The API asks for keys from now on."""
        self._leaked = _keys(scene, "create", "--name", "shop", "--scope", "write")
        self._admin = _Caller(scene, _keys(scene, "create", "--name", "on call", "--scope", "admin"))
        scene.system.processes.stop("api")
        scene.system.env["API_AUTH"] = "on"
        scene.system.start_api()
        scene.system.api = ApiClient(self._admin.url, key=self._admin.key)
        self._id = self._leaked.split("_")[1]

    def bring_about(self, scene: Scene) -> str:
        self._stranger = stranger = _Stranger(scene, self._leaked)
        assert stranger.call("GET", "/clients/").ok
        made = stranger.call("POST", "/mailings/", json={"draft": True, "text": "Pay here.", "filter": {}})
        self._made = made.json()["id"]
        stranger.begin()
        self._owner = _Caller(scene, _keys(scene, "rotate", self._id, "--overlap", "0"))
        taken_at = ticks()
        scene.system.until(lambda: stranger.is_refused, "the key opens nothing any more")
        seconds = ticks() - taken_at
        assert seconds < patience(FRESH), f"it opened for {seconds:.1f} s more"
        _keys(scene, "revoke", self._id)
        assert self._owner.call("GET", "/clients/").ok
        return f"a stranger wrote mailing {self._made}; {seconds:.1f} s after it was taken back the key opens nothing"

    def look(self, scene: Scene) -> str:
        changes = self._admin.call("GET", f"/audit/?by=key%20{self._id}").json()
        found = [(one["action"], one["thing"], one["thing_id"]) for one in changes]
        assert found == [("create", "mailing", str(self._made))]
        return f"GET /audit/: {', '.join(' '.join(one) for one in found)} is all that was done with it"

    def remedy(self, scene: Scene) -> str:
        assert self._owner.call("DELETE", f"/mailings/{self._made}/").ok
        self.close()
        return f"mailing {self._made} is deleted, and the stranger is kept out"

    def check(self, scene: Scene) -> str:
        assert self._owner.call("GET", "/clients/").ok
        assert self._owner.call("GET", f"/mailings/{self._made}/").status_code == 404
        return "the owner goes on with another key"

    def close(self) -> None:
        if self._stranger:
            self._stranger.end()


def _keys(scene: Scene, *words: str) -> str:
    """The key that `python -m api_service keys` makes, or nothing."""
    processes = scene.system.processes
    processes.start("keys", "api_service", scene.system.env, "keys", *words)
    assert processes.wait("keys", timeout=60) == 0, processes.output("keys")
    return next((line for line in processes.output("keys") if line.startswith("nsk_")), "")


class _Caller:
    """Somebody with a key."""

    def __init__(self, scene: Scene, key: str) -> None:
        self.url, self.key = f"http://127.0.0.1:{scene.system.env['API_PORT']}", key

    def call(self, method: str, path: str, **request: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **request)


class _Stranger(_Caller):
    """Who goes on for as long as nobody ends it, in a thread of their own."""

    is_refused = False

    def __init__(self, scene: Scene, key: str) -> None:
        super().__init__(scene, key)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Twice is harmless."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _go_on(self) -> None:
        while not self._over.wait(EVERY):
            self.is_refused = self.call("GET", "/clients/").status_code == 401
