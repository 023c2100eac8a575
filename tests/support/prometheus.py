"""Prometheus of Debian's package, with the rules of deploy/observe, asking whom the tests name."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
import yaml

from sandbox.processes import free_port
from tests.support.server_process import ServerProcess, program

RULES = Path(__file__).parents[2] / "deploy" / "observe" / "alerts.yml"
EVERY = "1s"
START_SECONDS = 30.0


class Prometheus:
    """A client of a server that runs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_ready(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{self._url}/-/ready", timeout=5).ok
        return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of now, each with its labels (`metric`) and its `value`."""
        return list(self._get("query", query=expression)["result"])

    def values(self, expression: str, since: float) -> dict[str, set[str]]:
        """What each series had in each second since then (Unix time), by its labels."""
        until = str(time.time())
        found = self._get("query_range", query=expression, start=str(since), end=until, step=EVERY)["result"]
        return {str(one["metric"]): {value for _, value in one["values"]} for one in found}

    def rules(self) -> list[dict[str, Any]]:
        """As they were evaluated last: `name`, `health`, of an alarm its `state`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def alarms(self) -> set[str]:
        """The names of those that are firing, or will be when they have lasted."""
        return {rule["name"] for rule in self.rules() if rule.get("state", "inactive") != "inactive"}

    def firing(self) -> dict[str, str]:
        """Those that have lasted, with what they tell of each thing that they concern."""
        return {
            rule["name"]: "; ".join(one["annotations"]["summary"] for one in rule["alerts"])
            for rule in self.rules()
            if rule.get("state") == "firing"
        }

    def _get(self, what: str, **parameters: str) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{what}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def prometheus(targets: Mapping[str, Sequence[str]], rules: Path = RULES) -> Iterator[Prometheus]:
    """targets: of each job, HOST:PORT. rules: the file of them."""
    binary, port = program("prometheus", "prometheus"), free_port()
    with tempfile.TemporaryDirectory(prefix="prometheus-") as name:
        jobs = [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ]
        config = {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
            "rule_files": [str(rules)],
            "scrape_configs": jobs,
        }
        file = Path(name, "prometheus.yml")
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [
            str(binary), f"--config.file={file}", f"--storage.tsdb.path={name}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]  # fmt: skip
        process = ServerProcess(command, Path(name, "output"))
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")
            process.wait_until(server.is_ready, START_SECONDS)
            yield server
        finally:
            process.kill()
