"""Hosts: which are near, on this machine or on a network of its owner's, and which ones a URL names. Pure; no name is
looked up."""

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

_NEAR = re.compile(
    r"[a-z][a-z0-9_-]*"  # one label: a container or a neighbour. A number is another way to write an address
    r"|.+\.(localhost|local|internal|home\.arpa)",  # RFC 6761, RFC 6762, ICANN's reservation, RFC 8375
    re.IGNORECASE,
)


def is_near(host: str) -> bool:
    """Whether a host, an address or a name, cannot be a public one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(_NEAR.fullmatch(host))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_private or address.is_link_local


def nodes(url: str) -> list[str]:
    """The URL once for each of its hosts: `amqp://me@one,two:5673/x` is `amqp://me@one/x` and `amqp://me@two:5673/x`."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [url]
    return [urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) for host in hosts.split(",")]
