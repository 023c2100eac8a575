"""The metrics of all processes of this service, on a port of their own: what is for operators is not for clients.

The main process opens the port and the workers, which inherit it, answer on a thread each: so the main process, which
forks, has no threads, and whichever worker answers speaks for all.
"""

import socket
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app, multiprocess
from prometheus_client.registry import Collector

from shared.metrics_port import listen_there_or_anywhere
from shared.own_metrics import API, Since, registry_of


class MetricsPage:
    def __init__(self, host: str, port: int, directory: Path) -> None:
        """port: 0: any free one. directory: where the processes keep their metrics. Raises SettingsError."""
        self._directory, self._since = directory, Since()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = listen_there_or_anywhere(
            lambda port: socket.create_server((host, port), family=family, backlog=16), port
        )
        self._socket.setblocking(False)  # all workers hear of a connection; whoever comes second does not wait
        self.port = int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """In a worker: from now on, on a thread of its own."""
        source: Collector = multiprocess.MultiProcessCollector(None, str(self._directory))  # type: ignore[no-untyped-call]
        registry = registry_of(*API, source=source)
        registry.register(self._since)
        server = _Server(self._socket, make_wsgi_app(registry))
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds for whoever asks to say something

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, application: Any) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = "metrics", listening.getsockname()[1]
        self.setup_environ()
        self.set_app(application)
