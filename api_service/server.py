"""gunicorn around the application: a few processes of a few threads each."""

import json
import os
from contextlib import suppress
from pathlib import Path
from socket import socket
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import multiprocess
from werkzeug.http import HTTP_STATUS_CODES

from api_service import app, errors
from api_service.announcer import BackgroundAnnouncer
from shared import database, logs
from shared.broker.base import Broker
from shared.settings import Settings

THREADS = 8
STATEMENT_TIMEOUT = 10.0
GRACE = 20
"""Seconds that requests have to finish after SIGTERM."""

_log = logs.logger()


class Server(BaseApplication):  # type: ignore[misc]  # the library has no types
    def __init__(self, settings: Settings, url: str, broker: Broker, metrics_directory: Path) -> None:
        """url: of the database."""
        self._settings, self._url, self._broker, self._metrics_directory = settings, url, broker, metrics_directory
        self._announcer = BackgroundAnnouncer(broker)
        super().__init__()

    def load_config(self) -> None:
        host, port = self._settings.api_host, self._settings.api_port
        for name, value in {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": self._settings.api_workers,
            "worker_class": _Worker,
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": GRACE,
            "keepalive": 75,  # longer than a client keeps an idle connection, so that it is the client who closes it
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "control_socket_disable": True,
            "loglevel": "warning",
            "logger_class": _Logger,
            "when_ready": _when_ready,
            "worker_exit": self._worker_exit,
            "child_exit": self._child_exit,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """In each worker, after the fork: connections must not be shared."""
        engine = database.engine(self._url, "api", pool_size=THREADS, statement_timeout=STATEMENT_TIMEOUT)
        for_probe = database.engine(self._url, "api-probe", pool_size=1, statement_timeout=2.0)
        application = app.create_app(
            engine,
            self._announcer,
            app.probes(for_probe, self._broker),
            default_timezone=self._settings.default_timezone,
            metrics_directory=self._metrics_directory,
        )
        # The body is read when the application asks for it, so that its framing may turn out wrong there.
        application.register_error_handler(ParseException, lambda _: errors.answer(400, _UNREADABLE))
        return application

    def _worker_exit(self, _arbiter: Any, _worker: Any) -> None:
        self._announcer.close(timeout=2.0)

    def _child_exit(self, _arbiter: Any, worker: Any) -> None:
        multiprocess.mark_process_dead(worker.pid, str(self._metrics_directory))  # type: ignore[no-untyped-call]


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Answers what is no proper HTTP request in the shape of all other errors."""

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT. gunicorn's own asks the thread pool for a lock that the code which the signal interrupts may hold."""
        super(ThreadWorker, self).handle_quit(sig, frame)

    def handle_error(self, req: Any, client: socket, addr: Any, exc: Exception) -> None:
        status = next((status for kind, status in _REFUSED.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        name = HTTP_STATUS_CODES[status]
        body = json.dumps({"code": status, "status": name, "message": _UNREADABLE, "errors": {}})
        head = f"HTTP/1.1 {status} {name}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        with suppress(OSError):
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


_UNREADABLE = "The server cannot read this request."
_REFUSED = {LimitRequestLine: 414, LimitRequestHeaders: 431, ParseException: 400}


class _Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's own lines take the way of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def _when_ready(arbiter: Any) -> None:
    host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
    _log.info("listening", host=host, port=port, pid=os.getpid())
