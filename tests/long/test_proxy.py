"""The API behind a real nginx with TLS and a path prefix: deploy/nginx.conf.template."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from requests.adapters import HTTPAdapter

from sandbox.processes import Processes
from shared.clock import ticks
from tests.support.api_server import Server
from tests.support.new_database import new_database
from tests.support.nginx import Nginx, nginx
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

PREFIX = "/notify"
RATE = 20
SLOW = 100
"""Clients that take their time, at a time: more than the API has threads for, and than it lets one address have."""


class From(HTTPAdapter):
    """Connections from an address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, source_address=(self._address, 0))


class Site:
    """The API and the proxy before it."""

    def __init__(self, server: Server, proxy: Nginx, key: str) -> None:
        self.server, self.proxy, self.key = server, proxy, key

    def client(self, address: str = "127.0.0.2", *, has_key: bool = True) -> requests.Session:
        """Somebody at another address of this machine, who trusts the proxy's certificate."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.proxy.authority)
        session.mount("https://", From(address))
        if has_key:
            session.headers["Authorization"] = f"Bearer {self.key}"
        return session

    def connection(self, address: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.proxy.authority))
        raw = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=30, source_address=(address, 0))
        return context.wrap_socket(raw, server_hostname="127.0.0.1")


@pytest.fixture(scope="module")
def site(postgres: str) -> Iterator[Site]:
    """An API of a database of its own that has one key."""
    lines: list[str] = []
    with ExitStack() as stack:
        database_url = stack.enter_context(new_database(postgres))
        processes = stack.enter_context(Processes(lambda name, line: lines.append(line) if name == "api" else None))
        env = {"DATABASE_URL": database_url}
        processes.start("migrate", "shared.migrate", env)
        assert processes.wait("migrate", 60) == 0
        processes.start("keys", "api_service", env, "keys", "create", "--name", "test", "--scope", "admin")
        key = processes.wait_line("keys", r"nsk_\S+")[0]
        assert processes.wait("keys", 60) == 0
        processes.start(
            "api",
            "api_service",
            {
                **env,
                "API_PORT": "0",
                "API_WORKERS": "1",
                "API_RATE": str(RATE),
                "LOG_FORMAT": "json",
                "TRUSTED_PROXIES": "127.0.0.1",
            },
        )
        server = Server(processes, lines)
        wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=10).ok)
        proxy = stack.enter_context(nginx(f"127.0.0.1:{server.port}", PREFIX))
        yield Site(server, proxy, key)


def test_redirects_stay_on_https_and_under_the_prefix(site: Site) -> None:
    client = site.client()
    for path, there in (("/clients", "/clients/"), ("/clients?page=2", "/clients/?page=2"), ("/docs", "/docs/")):
        answer = client.get(site.proxy.url + path, allow_redirects=False, timeout=30)
        assert (answer.status_code in (302, 308), answer.headers["Location"]) == (True, PREFIX + there)
        followed = client.get(site.proxy.url + path, timeout=30)
        assert (followed.status_code, followed.url) == (200, f"https://127.0.0.1:{site.proxy.port}{PREFIX}{there}")
    assert "max-age" in client.get(f"{site.proxy.url}/clients/", timeout=30).headers["Strict-Transport-Security"]


def test_the_documents_and_what_they_load_are_under_the_prefix(site: Site) -> None:
    """As a browser does it: the page, its assets, the document; and from there a call of the API."""
    client = site.client(has_key=False)
    page = client.get(f"{site.proxy.url}/docs/", timeout=30)
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 5
    for asset in assets:
        assert client.get(urljoin(page.url, asset), timeout=30).status_code == 200
    (document_url,) = re.findall(r'"url": "([^"]+)"', page.text)
    document = client.get(urljoin(page.url, document_url), timeout=30)
    assert document.url == f"{site.proxy.url}/openapi.json"
    (server,) = document.json()["servers"]
    tried = urljoin(document.url, server["url"]) + "/health/live"
    assert client.get(tried, timeout=30).status_code == 200, "what the page tries"


def test_the_console_is_signed_in_to_and_walked_under_the_prefix(site: Site) -> None:
    """From the door, by its own form, and back to where they wanted to go; no link and no asset leads past the
    proxy."""
    browser = site.client(has_key=False)
    door = browser.get(site.proxy.url, timeout=30)
    assert door.url.startswith(f"{site.proxy.url}/console/sign-in/")
    asked = browser.get(f"{site.proxy.url}/console/mailings/?state=running", timeout=30)
    (form,) = re.findall(r'<form method="post" action="[^"]+/sign-in/".*?</form>', asked.text, re.DOTALL)
    action = re.findall(r'action="([^"]+)"', form)[0]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    page = browser.post(urljoin(asked.url, action), data={**hidden, "key": site.key}, timeout=30)
    assert (page.status_code, page.url) == (200, f"{site.proxy.url}/console/mailings/?state=running")
    (form,) = re.findall(r'<form method="post" action="[^"]+/language/".*?</form>', page.text, re.DOTALL)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    chosen = browser.post(f"{site.proxy.url}/console/language/", data={**hidden, "language": "ru"}, timeout=30)
    assert (chosen.url, 'lang="ru"' in chosen.text) == (page.url, True)
    assert all(one.startswith(f"{PREFIX}/") for one in re.findall(r'action="([^"]+)"', page.text))
    links = set(re.findall(r'(?:src|href|hx-get)="([^"#]+)"', page.text))
    assert len(links) > 15
    for link in links:
        target = urljoin(page.url, link)
        assert target.startswith(f"{site.proxy.url}/"), link
        assert browser.get(target, timeout=30).status_code == 200, link


def test_whoever_asks_has_their_own_address(site: Site) -> None:
    """In the log, whatever they claim themselves."""
    for number, address in enumerate(("127.0.0.3", "127.0.0.4")):
        claim = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": f"behind-{number}"}
        assert site.client(address).get(f"{site.proxy.url}/clients/", headers=claim, timeout=30).ok
        wait_until(lambda number=number: requested(site, f"behind-{number}"))  # type: ignore[misc]
        assert requested(site, f"behind-{number}") == [address]


def requested(site: Site, request_id: str) -> list[object]:
    """The addresses that the log has of a request."""
    return [event["address"] for event in site.server.events("request") if event["request_id"] == request_id]


def test_the_rate_is_that_of_a_client_and_not_of_the_proxy(site: Site) -> None:
    many, one = site.client("127.0.0.5", has_key=False), site.client("127.0.0.6", has_key=False)
    answers = [many.get(f"{site.proxy.url}/clients/", timeout=30).status_code for _ in range(4 * RATE)]
    assert set(answers) == {401, 429}
    assert one.get(f"{site.proxy.url}/clients/", timeout=30).status_code == 401


def test_slow_clients_hold_nobody_up(site: Site) -> None:
    """They dawdle with their requests and with their answers, behind the proxy: the API does not even see them."""
    head = (
        f"POST {PREFIX}/mailings/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {site.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    unread = f"GET {PREFIX}/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ExitStack() as stack:
        for number in range(SLOW):
            connection = stack.enter_context(site.connection("127.0.0.7"))
            connection.sendall((head if number % 2 else unread).encode())
        client = site.client()
        for _ in range(5):
            asked_at = ticks()
            assert client.get(f"{site.proxy.url}/clients/", timeout=30).status_code == 200
            assert ticks() - asked_at < 5
            time.sleep(0.1)
    assert not [event for event in site.server.events("request") if event.get("path") == "/mailings/"]


def test_a_file_is_refused_while_it_comes_and_taken_where_it_is_right(site: Site) -> None:
    def wrong() -> Iterator[bytes]:
        yield b"no,such,columns\n"
        for _ in range(200):
            yield b"1,2,3\n" * 1000

    client = site.client()
    headers = {"Content-Type": "text/csv"}
    url = f"{site.proxy.url}/clients/import/?name=behind"
    answer = client.post(url, data=wrong(), headers=headers, timeout=60)
    assert answer.status_code == 422
    taken = client.post(url, data=b"phone,tag\n79161234567,behind\n", headers=headers, timeout=60)
    assert (taken.status_code, taken.json()["created"]) == (200, 1), taken.text
