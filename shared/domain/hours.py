"""The hours of a time zone in which a send window is open. Pure."""

from datetime import UTC, datetime
from functools import lru_cache

from shared.domain import timezones
from shared.domain.window import Window


class Hours:
    """The hours of a time zone in which a window is open. Kept from change to change: they take long to work out."""

    def __init__(self, window: Window, zone: str) -> None:
        self._window, self._zone = window, timezones.stored(zone)
        self._known = (_NEVER, _NEVER, False)

    def at(self, now: datetime) -> tuple[bool, datetime]:
        """Whether the window is open, and when that changes."""
        since, change, is_open = self._known
        if not since <= now < change:
            is_open = self._window.contains(now, self._zone)
            find = self._window.next_closing if is_open else self._window.next_opening
            change = find(now, self._zone)
            self._known = (now, change, is_open)
        return is_open, change


_NEVER = datetime.min.replace(tzinfo=UTC)
hours_of = lru_cache(maxsize=4096)(Hours)
