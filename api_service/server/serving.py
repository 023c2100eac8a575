"""The service as it runs: a socket, processes that serve the application on it, and a page of metrics."""

import logging
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import multiprocess

from api_service.server.limits import CONNECTIONS, UNSENT
from api_service.server.listener import Listener
from api_service.server.metrics_page import MetricsPage
from api_service.server.processes import GRACE, Processes, hear
from api_service.server.proxies import Proxies
from api_service.web.request_log import RequestLog
from shared import garbage, heap, logs
from shared.domain.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_BACKLOG = 1024
_LARGE = 256 * 1024
"""Bytes. A page of a file takes some megabytes, several times over, on a thread that may never make another."""

_log = logs.logger()


def serve(
    settings: Settings,
    metrics_directory: Path,
    make: Callable[[RequestLog], "WSGIApplication"],
    end: Callable[[], None],
) -> None:
    """Until SIGTERM or SIGINT.

    Args:
        settings: where to listen, and for whom.
        metrics_directory: where the processes keep their metrics.
        make: makes the application, in each process: connections must not be shared. It is given the process's log.
        end: what is to be done in each process when it has served.

    Raises:
        SettingsError: an address cannot be used.
    """
    metrics = MetricsPage(settings.metrics_host, settings.metrics_port, metrics_directory)
    listening = _listen(settings.api_host, settings.api_port)
    parent = os.getpid()

    def work() -> None:
        heap.map_blocks(_LARGE)
        log = RequestLog()
        proxies = Proxies(settings.trusted_proxies)
        listener = Listener(listening, make(log), proxies, settings.api_connections, log)
        hear(listener.stop)
        _allow_files()
        metrics.serve()
        garbage.collect_seldom()
        listener.run(GRACE, parent)
        end()
        log.close()

    def ended(pid: int) -> None:
        multiprocess.mark_process_dead(pid, str(metrics_directory))  # type: ignore[no-untyped-call]

    logging.getLogger("waitress").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # waiting for a thread is no event
    host, port = listening.getsockname()[:2]
    ports = {"port": port, "pid": parent, "metrics_port": metrics.port}
    _log.info("listening", host=host, **ports, auth="on" if settings.api_auth else "off")
    Processes(settings.api_workers, work, ended).run(stopping=listening.close)


def _allow_files() -> None:
    """Two for each connection, as far as the system lets us: a page of the documents is sent from its file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS + 1024
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _listen(host: str, port: int) -> socket.socket:
    """Raises SettingsError."""
    is_ipv6 = ":" in host
    try:
        listening = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # attempting to bind on address …
        raise SettingsError(f"API_PORT {port} of {host} cannot be used: {reason}.") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)  # its connections inherit it
    return listening
