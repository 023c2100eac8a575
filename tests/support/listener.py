"""The HTTP server of the API in this process, around an application that a test brings."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from api_service.server.listener import Listener
from api_service.server.proxies import Proxies
from api_service.web.request_log import RequestLog

Connect = Callable[[], socket.socket]


@contextmanager
def listening(application: Any) -> Iterator[Connect]:
    """What connects to it, as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        address = opened.getsockname()
        listener = Listener(opened, application, Proxies([]), 100, RequestLog())
        thread = threading.Thread(target=listener.run, args=(0.0, os.getppid()))
        thread.start()
        try:
            yield lambda: socket.create_connection(address, timeout=10)
        finally:
            listener.stop()
            thread.join()
            listener.task_dispatcher.shutdown()
            listener.close()


def everything(connection: socket.socket) -> bytes:
    """What is said until the other side ends, whichever way it does."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received
