"""HTTP to the identity provider: bounded in time and size, and never led to another place.

It goes neither through a proxy of the environment nor by passwords of a `.netrc`.
"""

import io
import ssl
from collections.abc import Mapping
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from api_service.access.oidc.errors import Away
from shared import clock

PATIENCE = 3.0
"""Seconds without a byte after which nobody waits any longer."""
DEADLINE = 5.0
"""Seconds for a whole answer."""
LARGEST = 256 * 1024
"""Bytes of one."""


class _Bounded(HTTPAdapter):
    """What it answers is read: whole, in time, and not too much of it."""

    def send(  # noqa: PLR0917 - as requests calls it
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002
        timeout: Any = None,  # noqa: ARG002
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        until = clock.ticks() + DEADLINE
        response = super().send(request, True, PATIENCE, verify, cert, proxies)
        try:
            response.raw = io.BytesIO(_read(response.raw, until))
        except (HTTPError, OSError) as error:
            raise Away(f"{request.url}: broke off, {type(error).__name__}") from error
        return response


def session(**about: Any) -> OAuth2Session:
    """To be closed. about: what `OAuth2Session` takes."""
    made = OAuth2Session(**about)
    made.trust_env = False
    made.verify = _authorities()
    made.headers["Accept-Encoding"] = "identity"  # so that what is read is what comes
    for scheme in ("https://", "http://"):
        made.mount(scheme, _Bounded())
    return made


def get(wire: OAuth2Session, address: str, **more: Any) -> dict[str, Any]:
    """A JSON object. Raises Away."""
    try:
        response = wire.get(address, allow_redirects=False, **more)
        found = response.json() if response.status_code == requests.codes.ok else None
    except requests.RequestException as error:
        raise Away(f"{address}: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise Away(f"{address}: status {response.status_code}, no JSON object")
    return found


def _read(raw: Any, until: float) -> bytes:
    body = bytearray()
    while piece := raw.read1(16_384):
        body += piece
        if len(body) > LARGEST:
            raise Away(f"an answer has more than {LARGEST} bytes")
        if clock.ticks() > until:
            raise Away(f"an answer takes more than {DEADLINE:g} s")
    return bytes(body)


def _authorities() -> str | bool:
    """The machine's, or those of SSL_CERT_FILE, which OpenSSL reads by itself; requests would take its own."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True
