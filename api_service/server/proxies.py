"""Who asks, where proxies stand between: what they say is believed if TRUSTED_PROXIES has their address.

Read are `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`. From anybody else they mean nothing.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_SAID = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PREFIX")


class Proxies:
    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted
        self.believes = lru_cache(1024)(self._believes)

    @staticmethod
    def normal(address: str) -> str:
        """An address as it is written everywhere: one of IPv4 as such, though the socket is of IPv6."""
        found = _address(address)
        return address if found is None else str(found)

    @staticmethod
    @lru_cache(4096)
    def neighbourhood(address: str) -> str:
        """Addresses that one client can have: of IPv6, 64 bits of them."""
        found = _address(address)
        return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address

    def _believes(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(found in network for network in self._trusted)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The address of whoever asks. Every proxy has put the one that it heard from at the end, so the last address
        that is not a proxy's is the client's."""
        client = peer
        for said in reversed(forwarded_for.split(",")):
            if not self.believes(client) or _address(said.strip()) is None:
                break
            client = self.normal(said.strip())
        return client

    def apply(self, environ: dict[str, Any], client: str) -> None:
        """Makes a request that came through a proxy look as it did when it came to the proxy."""
        is_believed = bool(self._trusted) and self.believes(environ["REMOTE_ADDR"])
        environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = client
        said = [environ.get(name, "").rpartition(",")[2].strip() for name in _SAID]
        if not is_believed:
            return
        scheme, host, prefix = said
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
        if _HOST.fullmatch(host):
            environ["HTTP_HOST"] = host
        if _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
