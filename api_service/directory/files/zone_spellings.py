"""Time zones as people write them, brought to their IANA names where they can mean only one.

Case, and blanks for underscores, say nothing. `UTC+3` and `MSK+2` (two hours ahead of Moscow) have no summer time, and
are zones of their own. A bare `+3` may be counted from either, and a town or a name of Windows is not guessed at.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from shared.domain import timezones

_BETWEEN_WORDS = re.compile(r"\s*/\s*|[\s_]+")
_OFFSET = re.compile(r"(?:(utc|gmt)|msk|мск)(?:\s*([+\u2212-]\s*[0-9]{1,2})(?::?00)?)?", re.IGNORECASE)
_MOSCOW = 3
"""Hours ahead of UTC."""
_FURTHEST = range(-12, 15)


def normalised(cell: str) -> str:
    """The IANA name, or what stands there."""
    if cell in timezones.names():
        return cell
    if name := _by_plain_name().get(_plainly(cell)):
        return name
    return _by_offset(cell) or cell


def _by_offset(cell: str) -> str | None:
    if (found := _OFFSET.fullmatch(cell)) is None:
        return None
    offset = found[2] and int(re.sub(r"\s", "", found[2]).replace("\u2212", "-"))
    if not offset:
        return "UTC" if found[1] else "Europe/Moscow"
    hours = offset + (0 if found[1] else _MOSCOW)
    if hours not in _FURTHEST:
        return None
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"  # whose sign is that of the way to UTC


@lru_cache(maxsize=1)
def _by_plain_name() -> Mapping[str, str]:
    return {_plainly(name): name for name in sorted(timezones.names())}


def _plainly(name: str) -> str:
    return _BETWEEN_WORDS.sub(lambda found: "/" if "/" in found[0] else "_", name).casefold()
