"""The client of the API before a server whose faults can be had on demand; test_api_server.py has the real one."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from notification_client import ApiClient, ApiError
from shared import clock

LOST = 0  # the connection breaks without an answer


class Script(ThreadingHTTPServer):
    """Answers one status after the other. `requests`: what it was asked; `authorization`: with what, the last time."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.body: bytes | None = None
        self.link: str | None = None
        self.requests: list[str] = []
        self.authorization: str | None = None


class _Handler(BaseHTTPRequestHandler):
    server: Script
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.authorization = self.headers["Authorization"]
        status = self.server.statuses.pop(0)
        self.close_connection = status == LOST
        if status == LOST:
            return
        message = {"code": status, "status": "", "message": "So it is.", "errors": {"json": {"phone": ["No."]}}}
        body = self.server.body if self.server.body is not None else json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.server.link:
            self.send_header("Link", self.server.link)
        self.send_header("Location", "/elsewhere/")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    thread = threading.Thread(target=script.serve_forever, args=(0.01,))
    thread.start()
    yield script
    script.shutdown()
    thread.join()
    script.server_close()


@pytest.fixture
def client(script: Script) -> Iterator[ApiClient]:
    with ApiClient(f"http://127.0.0.1:{script.server_port}/", timeout=5, patience=20) as client:
        yield client


Call = Callable[[ApiClient], object]

HARMLESS: list[Call] = [
    lambda client: client.segment(1),
    lambda client: client.change_segment(1, name="All"),
    lambda client: client.mailing(1),
    lambda client: client.preflight(1),
    lambda client: client.check_mailing("Hello", clock.now(), clock.now(), filter={"tags": ["vip"]}),
    lambda client: client.statistics(),
    lambda client: client.change_client(1, tag="vip"),
    lambda client: client.pause(1),
    lambda client: client.resume(1),
    lambda client: client.cancel(1),
    lambda client: client.delete_mailing(1),
]
CREATIONS: list[Call] = [
    lambda client: client.create_client("79120000001"),
    lambda client: list(client.create_clients([{"phone": "79120000001"}])),
    lambda client: client.create_segment("All", {}),
    lambda client: client.create_mailing("Hello", clock.now(), clock.now()),
]


@pytest.mark.parametrize("call", HARMLESS)
def test_what_may_be_repeated_is(client: ApiClient, script: Script, call: Call) -> None:
    script.statuses = [LOST, 503, LOST, 200]
    call(client)
    assert len(set(script.requests)) == 1
    assert len(script.requests) == 4


@pytest.mark.parametrize("status", [LOST, 503])
@pytest.mark.parametrize("call", CREATIONS)
def test_a_creation_is_not(client: ApiClient, script: Script, call: Call, status: int) -> None:
    script.statuses = [status]
    with pytest.raises(ApiError) as error:
        call(client)
    assert (error.value.status, len(script.requests)) == (status, 1)


@pytest.mark.parametrize("call", [*HARMLESS, *CREATIONS])
def test_whatever_came_too_often_is_repeated(client: ApiClient, script: Script, call: Call) -> None:
    script.statuses = [429, 200]
    call(client)
    assert len(script.requests) == 2


def test_it_shows_its_key(script: Script) -> None:
    script.statuses = [200]
    with ApiClient(f"http://127.0.0.1:{script.server_port}", key="nsk_1") as client:
        client.mailing(1)
    assert script.authorization == "Bearer nsk_1"


@pytest.mark.parametrize("status", [308, 400, 404, 409, 422, 500])
def test_any_other_error_is_final(client: ApiClient, script: Script, status: int) -> None:
    script.statuses = [status]
    with pytest.raises(ApiError, match=rf"GET /mailings/1/: {status} So it is. .*phone.*No") as error:
        client.mailing(1)
    assert (error.value.status, error.value.body["code"]) == (status, status)
    assert script.requests == ["GET /mailings/1/"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff"])
def test_an_error_of_somebody_else_is_one_all_the_same(client: ApiClient, script: Script, body: bytes) -> None:
    script.statuses, script.body = [502], body
    with pytest.raises(ApiError) as error:
        client.mailing(1)
    assert (error.value.status, error.value.body) == (502, {})


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"])
def test_an_answer_that_is_no_json_is_an_error(client: ApiClient, script: Script, body: bytes) -> None:
    script.statuses, script.body = [200], body
    with pytest.raises(ApiError, match="not JSON"):
        client.mailing(1)


def test_lists_are_walked(client: ApiClient, script: Script) -> None:
    script.statuses, script.body = [200, 200], json.dumps([{"id": 1}] * 100).encode()
    script.link = '</clients/?after_id=100&page_size=100>; rel="next"'
    clients = client.clients()
    for _ in range(100):
        next(clients)
    assert script.requests == ["GET /clients/?after_id=0&page_size=100"]
    script.body, script.link = b"[]", None
    assert list(clients) == []
    assert script.requests[1:] == ["GET /clients/?after_id=100&page_size=100"]


def test_what_creates_is_repeated_under_its_key_alone(client: ApiClient, script: Script) -> None:
    script.statuses = [503, 503, LOST, 201]
    with pytest.raises(ApiError):
        client.create_client("79123456789")
    client.create_client("79123456789", idempotency_key="k", tag="vip", reference="crm-1")
    assert script.requests == ["POST /clients/"] * 4


@pytest.mark.parametrize("trusted", [True, False])
def test_it_trusts_whom_ssl_cert_file_names(trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    script = Script()
    script.socket = context.wrap_socket(script.socket, server_side=True)
    script.statuses, script.body = [200], b"{}"
    thread = threading.Thread(target=script.serve_forever, args=(0.01,))
    thread.start()
    try:
        with ApiClient(f"https://127.0.0.1:{script.server_port}", patience=0.0) as client:
            if trusted:
                assert client.client(1) == {}
            else:
                with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
                    client.client(1)
    finally:
        script.shutdown()
        thread.join()
        script.server_close()


def test_it_gives_up_in_time() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = ApiClient(f"http://127.0.0.1:{nobody.getsockname()[1]}", patience=0.5)
        begun = clock.ticks()
        with pytest.raises(ApiError) as error:
            client.mailing(1)
        assert 0.1 < clock.ticks() - begun < 5
        assert error.value.status == 0
        assert not client.ready()
        with pytest.raises(ApiError, match="is not ready after"):
            client.wait_until_ready(0.3)
