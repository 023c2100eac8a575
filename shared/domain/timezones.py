"""Time zones by their IANA names.

Names and rules come from the `tzdata` package and not from the machine, so that every process of a deployment agrees
on them.
"""

import zoneinfo
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

zoneinfo.reset_tzpath(to=())  # else the machine's own rules would win over the package


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone that a client may have."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()) - {"Factory"}


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises ValueError; never looks at a path that the name may spell."""
    if name not in names():
        raise ValueError("must be an IANA time zone such as Europe/Moscow")
    return ZoneInfo(name)


def stored(name: str) -> ZoneInfo:
    """The zone of a name that was valid when it was stored; UTC where the rules of today do not know it any more."""
    return zone(name) if name in names() else zone("UTC")
