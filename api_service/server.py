"""gunicorn around the application: a few processes of a few threads each."""

import os
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import ParseException
from prometheus_client import multiprocess

from api_service import app, errors
from api_service.announcer import BackgroundAnnouncer
from api_service.metrics_page import MetricsPage
from api_service.worker import CONNECTIONS, UNREADABLE, Worker
from shared import garbage, logs
from shared.broker.base import Broker
from shared.database.engine import make_engine
from shared.settings import Settings

THREADS = 8
GRACE = 20
"""Seconds that requests have to finish after SIGTERM."""

_log = logs.logger()


class Server(BaseApplication):  # type: ignore[misc]  # the library has no types
    def __init__(self, settings: Settings, url: str, broker: Broker, metrics_directory: Path) -> None:
        """url: of the database. Raises SettingsError."""
        self._settings, self._url, self._broker, self._metrics_directory = settings, url, broker, metrics_directory
        self._announcer = BackgroundAnnouncer(broker)
        self._metrics = MetricsPage(settings.metrics_host, settings.metrics_port, metrics_directory)
        super().__init__()

    def load_config(self) -> None:
        host, port = self._settings.api_host, self._settings.api_port
        for name, value in {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": self._settings.api_workers,
            "worker_class": Worker,
            "worker_connections": CONNECTIONS,
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": GRACE,
            "keepalive": 75,  # longer than a client keeps an idle connection, so that it is the client who closes it
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            "sendfile": False,  # it knows no limit of time
            "control_socket_disable": True,
            "loglevel": "warning",
            "logger_class": _Logger,
            "when_ready": self._when_ready,
            "post_worker_init": self._worker_begins,
            "worker_exit": self._worker_exit,
            "child_exit": self._child_exit,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """In each worker, after the fork: connections must not be shared."""
        engine = make_engine(self._url, "api", pool_size=THREADS)
        for_probe = make_engine(self._url, "api-probe", pool_size=1, statement_timeout=2.0)
        application = app.create_app(
            engine,
            self._announcer,
            app.probes(for_probe, self._broker),
            default_timezone=self._settings.default_timezone,
            auth=self._settings.api_auth,
            rate=self._settings.api_rate,
        )
        # The body is read when the application asks for it, so that its framing may turn out wrong there.
        application.register_error_handler(ParseException, lambda _: errors.answer(400, UNREADABLE))
        return application

    def _when_ready(self, arbiter: Any) -> None:
        host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
        ports = {"port": port, "pid": os.getpid(), "metrics_port": self._metrics.port}
        _log.info("listening", host=host, **ports, auth="on" if self._settings.api_auth else "off")

    def _worker_begins(self, _worker: Any) -> None:
        self._metrics.serve()
        garbage.collect_seldom()

    def _worker_exit(self, _arbiter: Any, _worker: Any) -> None:
        self._announcer.close(timeout=2.0)

    def _child_exit(self, _arbiter: Any, worker: Any) -> None:
        multiprocess.mark_process_dead(worker.pid, str(self._metrics_directory))  # type: ignore[no-untyped-call]


class _Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's own lines take the way of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
