"""A deployment that runs, with a Prometheus that asks it: where a drill takes place."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
import yaml

from notification_client import Json
from sandbox.processes import free_port
from sandbox.simulator.faults import Faults
from tests.drills.ground import Ground
from tests.drills.rules import Rules, shortened
from tests.e2e.conftest import running
from tests.e2e.system import System
from tests.support.prometheus import Prometheus, prometheus

CLIENTS = 400
CALLS = 16
"""A dispatcher's, at a time: two of them send 100 messages a second."""
STEADY = Faults(latency_ms=320)

PATIENT = {"PROVIDER_TIMEOUT": "5", "DISPATCH_CONCURRENCY": str(CALLS)}
"""On a machine that has much to do, a call that was slow is not to be repeated."""


@dataclass
class Scene:
    """module: what the dispatchers run. targets: whom Prometheus asks.

    audiences: how many people each mailing of the drill is for. called_off: mailings that were
    cancelled.
    """

    system: System
    watcher: Prometheus
    ground: Ground
    module: str
    targets: Mapping[str, Sequence[str]]
    audiences: dict[int, int] = field(default_factory=dict)
    called_off: set[int] = field(default_factory=set)

    def mail(self, **more: Any) -> int:
        """A mailing to everybody, as `System.mail` makes it."""
        mailing_id = self.system.mail(**more)
        self.audiences[mailing_id] = CLIENTS
        return mailing_id

    def leader(self) -> str:
        """The dispatcher that leads."""
        leads = self.watcher.query("feeder_leader == 1")
        names = {self.system.metrics_address(name): name for name in self.system.dispatchers}
        assert len(leads) == 1, f"{len(leads)} dispatchers lead"
        return names[leads[0]["metric"]["instance"]]

    def start_again(self, name: str) -> None:
        """A dispatcher, where Prometheus asks for it; returns when it shows its metrics."""
        system, address = self.system, self.system.metrics_address(name)
        env = system.env | {"METRICS_PORT": address.rpartition(":")[2]}
        system.processes.start(name, self.module, env)
        system.processes.wait_http(name, f"http://{address}/metrics")

    def said(self, name: str, event: str) -> list[Json]:
        """The lines of that event in the log of a process."""
        lines = self.system.processes.output(name)
        return [json.loads(line) for line in lines if f'"event": "{event}"' in line]

    def psql(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database says to whoever runs it."""
        with closing(psycopg2.connect(self.ground.admin_url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def watched_by(self, rules: Rules) -> Iterator["Scene"]:
        """The same deployment, with other rules, for a drill that begins anew."""
        with prometheus(self.targets, _written(self.ground.directory, rules)) as watcher:
            yield replace(self, watcher=watcher, audiences={}, called_off=set())


@contextmanager
def deployed(ground: Ground, rules: Rules, *options: str, module: str, settings: Mapping[str, str]) -> Iterator[Scene]:
    """API, two dispatchers, reporter, provider and Prometheus. options: of the provider's command line. module: what
    the dispatchers run."""
    shown = {name: free_port() for name in ("api", "reporter")}
    given: dict[str, Any] = {**PATIENT, "METRICS_PORT": str(shown["api"]), **settings}
    with running(ground.place, *options, module=module, **given) as system:
        reporter = system.env | {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(shown["reporter"])}
        system.processes.start("reporter", "dispatcher_service.reporter", reporter)
        targets = {name: [f"127.0.0.1:{port}"] for name, port in shown.items()}
        targets["dispatcher"] = [system.metrics_address(name) for name in system.dispatchers]
        with prometheus(targets, _written(ground.directory, rules)) as watcher:
            system.simulator.set_faults(STEADY)
            system.fill(CLIENTS)
            system.until(lambda: len(watcher.query("up == 1")) == len(shown) + 2, "Prometheus hears of all")
            system.until(lambda: not watcher.alarms(), "nothing is wrong")
            yield Scene(system, watcher, ground, module, targets)


def _written(directory: Path, rules: Rules) -> Path:
    file = directory / "rules.yml"
    file.write_text(yaml.safe_dump(shortened(rules)), encoding="utf-8")
    return file
