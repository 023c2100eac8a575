"""A provider that keeps what it is told: the texts of each message, in the order of the calls."""

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_ACCEPTED = b'{"code": 0, "message": "OK"}'


class Reader:
    """For the length of a `with` block. texts: by message."""

    def __init__(self) -> None:
        self.texts: dict[int, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        reader = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                reader._take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(_ACCEPTED)))
                self.end_headers()
                self.wfile.write(_ACCEPTED)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: dict[str, Any]) -> None:
        with self._lock:
            self.texts[body["id"]].append(body["text"])
