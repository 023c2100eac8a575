"""Signing in on the console as somebody does who tries it out: at the demo's identity provider, with what
deploy/demo.env tells the API; all of it processes and HTTP."""

import re
from typing import NamedTuple

import pytest
import requests

from sandbox import deployment
from sandbox.processes import Processes, free_port
from tests.support.demo_environment import demo_environment

pytest_plugins = ("tests.support.api_server_fixture",)

PAGES = ("mailings/", "mailings/new/", "audit/")
"""For those who look, those who write, administrators."""


class Demo(NamedTuple):
    """console: its address. passwords: by login."""

    console: str
    issuer: str
    passwords: dict[str, str]


class Browser:
    """Somebody's, here and there."""

    def __init__(self, demo: Demo) -> None:
        self._demo, self._http = demo, requests.Session()
        self._http.trust_env = False

    def see(self, path: str) -> requests.Response:
        return self._http.get(self._demo.console + path, timeout=30)

    def sign_in(self, login: str, password: str) -> requests.Response:
        """As far as it leads: back to the console, or to the page there that says no."""
        page = self.see("sign-in/provider/")
        for field, value in (("login", login), ("password", password)):
            assert f'name="{field}"' in page.text, page.text
            assert "for trying only" in page.text
            page = self._send(page.url, page, **{field: value})
        return page

    def sign_out(self) -> requests.Response:
        page = self._send(f"{self._demo.console}sign-out/", self.see(""))
        return self._http.get(page.headers["Refresh"].removeprefix("0; url="), timeout=30)

    def _send(self, address: str, page: requests.Response, **fields: str) -> requests.Response:
        inputs = re.findall(r'<input[^>]* type="hidden"[^>]*>', page.text)
        hidden = {_attribute("name", one): _attribute("value", one) for one in inputs}
        return self._http.post(address, data=hidden | fields, timeout=30)


def _attribute(name: str, element: str) -> str:
    found = re.search(rf' {name}="([^"]*)"', element)
    return found[1] if found else ""


@pytest.fixture
def demo(processes: Processes, database_url: str) -> Demo:
    """By the name `localhost`: those below it are not known on every machine that runs tests."""
    issuer, port = f"http://localhost:{free_port()}", free_port()
    console = f"http://127.0.0.1:{port}/console/"
    processes.start("provider", "sandbox.identity_provider", {}, "--issuer", issuer, "--console", console)
    env = demo_environment() | {"OIDC_ISSUER": issuer, "DATABASE_URL": database_url}
    deployment.start_api(processes, env | {"API_PORT": str(port), "API_AUTH": "on", "API_WORKERS": "1"})
    processes.wait_line("provider", f"^identity provider: {issuer}, for trying only$")
    said = "\n".join(processes.output("provider"))
    return Demo(console, issuer, dict(re.findall(r"^identity provider: (\w+) .* password (\w+)$", said, re.MULTILINE)))


def test_three_people_may_what_their_groups_may_until_they_sign_out(demo: Demo) -> None:
    may = {}
    for login, password in demo.passwords.items():
        browser = Browser(demo)
        page = browser.sign_in(login, password)
        assert (page.status_code, page.url) == (200, demo.console), page.text
        [name] = re.findall("Anna Berg|Boris Lang|Vera Holm", page.text)
        may[name] = [path for path in PAGES if browser.see(path).status_code == 200]
    assert may == {"Anna Berg": [*PAGES], "Boris Lang": [*PAGES[:2]], "Vera Holm": [*PAGES[:1]]}

    page = browser.sign_out()
    assert page.url == f"{demo.console}sign-in/"
    assert 'name="key"' in page.text, "keys sign in beside it"
    page = browser.sign_in("vera", demo.passwords["anna"])
    assert page.url.startswith(demo.issuer), "it asks for the password again, and takes no other"
    assert browser.see("").url.startswith(f"{demo.console}sign-in/")


@pytest.mark.parametrize(
    "option", [("--issuer", "http://id.shop.example:8092"), ("--console", "https://shop.example/")]
)
def test_it_is_nobody_elses_identity_provider(option: tuple[str, str], processes: Processes) -> None:
    processes.start("provider", "sandbox.identity_provider", {}, *option)
    assert processes.wait("provider", 30) == 2
    assert processes.output("provider")[-1].endswith("it is for trying only")
