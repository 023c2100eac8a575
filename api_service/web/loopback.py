"""Which addresses only this machine can reach. Pure."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)  # asked for every request, and mostly the same
def is_from_here(host: str, origin: str | None) -> bool:
    """Whether a request with these headers, Host and Origin, was meant for this machine by somebody on it.

    Not so where a page of another site, open in a browser on this machine, sends it; or where the site's name has been
    made to lead here.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return is_loopback(name) and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        return False
