"""The API service as it is deployed: several processes, settings from the environment."""

import json

import requests

from sandbox.processes import Processes

OPEN = {"API_PORT": "0", "API_AUTH": "off", "API_RATE": "0", "LOG_FORMAT": "json"}
WORKERS = 2


class Server:
    """A running one. `lines`: what it has printed."""

    def __init__(self, processes: Processes, lines: list[str]) -> None:
        self.processes, self.lines = processes, lines
        match = processes.wait_line("api", r'"port": (\d+), "pid": (\d+), "metrics_port": (\d+)')
        self.port, self.pid = int(match[1]), int(match[2])
        self.url = f"http://127.0.0.1:{self.port}"
        self._metrics = f"http://127.0.0.1:{match[3]}/metrics"

    def metrics(self) -> str:
        return requests.get(self._metrics, timeout=10).text

    def events(self, name: str) -> list[dict[str, object]]:
        return [event for event in map(json.loads, self.lines) if event["event"] == name]
