"""database-failover."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from tests.drills.drill import Drill
from tests.drills.ground import Ground
from tests.drills.scene import Scene
from tests.e2e.system import Place
from tests.support.postgres_servers import primary_and_standby

PROMOTE = "select pg_promote()"


class DatabaseFailover(Drill):
    sentence = "The PostgreSQL primary is lost in the middle of a mailing; its synchronous standby is promoted."
    alarms = ("DatabaseTakesNoWrites",)
    page = "database-takes-no-writes"
    says = (
        "curl -s localhost:8000/health/ready",
        PROMOTE,
        "With a synchronous one nothing is lost and nothing comes twice.",
        "everything goes on by itself within seconds",
    )

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        with (
            TemporaryDirectory(prefix="drill-") as directory,
            primary_and_standby(is_synchronous=True) as (self._primary, self._standby),
        ):
            self._primary.ask("create database drill")
            url = f"postgresql://postgres@{self._primary.address},{self._standby.address}/drill"
            yield Ground(Place(url, None, Path(directory)), url)

    def bring_about(self, scene: Scene) -> str:
        self._primary.kill()
        return "the primary is lost, and nobody has promoted the standby yet"

    def look(self, scene: Scene) -> str:
        answer = requests.get(f"http://127.0.0.1:{scene.system.env['API_PORT']}/health/ready", timeout=30)
        assert answer.status_code == 503, answer.text
        return f"GET /health/ready: 503, {answer.json()['message']}"

    def remedy(self, scene: Scene) -> str:
        assert self._standby.ask(PROMOTE) == [(True,)]
        scene.system.until(scene.system.api.ready, "the API is ready")
        return "the standby takes writes, and the API is ready"
