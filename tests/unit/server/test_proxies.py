"""Whose words are believed about who asks, and what becomes of them."""

from ipaddress import ip_network
from typing import Any

import pytest

from api_service.server.proxies import Proxies

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "made up, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.5, 192.0.2.7", "192.0.2.7"),  # what the client says of themselves means nothing
        ("10.0.0.1", "203.0.113.5, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:DB9:0::7", "2001:db9::7"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", "192.0.2.1"),
    ],
)
def test_the_client_is_the_last_who_is_no_proxy(peer: str, forwarded_for: str, client: str) -> None:
    assert PROXIES.client(peer, forwarded_for) == client


def test_without_proxies_nobody_is_believed() -> None:
    assert Proxies([]).client("127.0.0.1", "192.0.2.7") == "127.0.0.1"
    assert Proxies.normal("::ffff:192.0.2.7") == "192.0.2.7"


def test_one_client_may_have_many_addresses_of_ipv6_and_one_of_ipv4() -> None:
    assert Proxies.neighbourhood("2001:db8:1:2:3:4:5:6") == Proxies.neighbourhood("2001:db8:1:2::1")
    assert Proxies.neighbourhood("2001:db8:1:2::1") != Proxies.neighbourhood("2001:db8:1:3::1")
    assert Proxies.neighbourhood("192.0.2.7") == "192.0.2.7"


SAID = {
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "api.example:8443",
    "HTTP_X_FORWARDED_PREFIX": "/notify/v1",
}
NOW = {"wsgi.url_scheme": "https", "HTTP_HOST": "api.example:8443", "SCRIPT_NAME": "/notify/v1"}
ELSE = {"wsgi.url_scheme": "http", "HTTP_HOST": "inside:8000", "SCRIPT_NAME": ""}


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("10.0.0.1", SAID, NOW),
        ("10.0.0.1", {name: f"nonsense, {value}" for name, value in SAID.items()}, NOW),
        ("10.0.0.1", {}, ELSE),
        ("192.0.2.1", SAID, ELSE),
        (
            "10.0.0.1",
            {
                "HTTP_X_FORWARDED_PROTO": "javascript",
                "HTTP_X_FORWARDED_HOST": "a.example/path",
                "HTTP_X_FORWARDED_PREFIX": "//elsewhere.example",
            },
            ELSE,
        ),
    ],
)
def test_what_a_proxy_says_of_the_request(peer: str, said: dict[str, str], expected: dict[str, str]) -> None:
    environ: dict[str, Any] = {"REMOTE_ADDR": peer, **ELSE, **said}
    PROXIES.apply(environ, "192.0.2.7")
    assert environ["REMOTE_ADDR"] == "192.0.2.7"
    assert {name: environ[name] for name in expected} == expected
