"""A gateway of a test: an HTTP server that answers as a function says, and keeps what it was asked."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """headers: names in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode(), strict_parsing=True).items()}


class Said(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain"
    length: int | None = None  # that is announced; None: that of the body


ACCEPTED = Said(200, b'{"code": 0, "message": "OK"}', "application/json")
"""What the provider of README.md says of a message that it takes."""


@dataclass
class Gateway:
    url: str
    asked: list[Asked] = field(default_factory=list)
    written: int = 0  # bytes of answers

    def texts(self) -> dict[int, list[str]]:
        """By message, in the order of the calls; as the provider of README.md is asked."""
        texts = defaultdict(list)
        for body in (json.loads(one.body) for one in self.asked):
            texts[body["id"]].append(body["text"])
        return dict(texts)


@contextmanager
def gateway(answer: Callable[[Asked], Said | None], times: int = 1) -> Iterator[Gateway]:
    """answer: None: the connection is closed without one. times: how often it writes the body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            here.asked.append(asked)
            said = answer(asked)
            if said is None:
                self.close_connection = True
                return
            self.send_response(said.status)
            self.send_header("Content-Type", said.content_type)
            self.send_header("Content-Length", str(len(said.body) if said.length is None else said.length))
            self.end_headers()
            for _ in range(times):
                self.wfile.write(said.body)
                here.written += len(said.body)
            self.close_connection |= said.length is not None

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - their names there

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Gateway(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
