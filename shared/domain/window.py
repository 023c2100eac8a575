"""The send window: the part of a client's day in which a mailing may reach him. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` until `end`, local wall-clock times; `end` itself is outside.

    `end` before `start` wraps over midnight; they are never equal.
    """

    start: time
    end: time

    def contains(self, now: datetime, zone: ZoneInfo) -> bool:
        local = now.astimezone(zone).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def next_opening(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The first moment from now on that lies inside, in UTC; `now` itself where the window is open."""
        return now if self.contains(now, zone) else self._next_change(now, zone)

    def next_closing(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The first moment from now on that lies outside, in UTC; `now` itself where the window is closed."""
        return self._next_change(now, zone) if self.contains(now, zone) else now

    def _next_change(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The side can only change when the local clock shows an edge or is itself changed: try these in order."""
        now = now.astimezone(UTC)  # in a zone's own terms, sums and differences ignore its changes
        inside = self.contains(now, zone)
        yesterday = now.astimezone(zone).date() - timedelta(days=1)
        moments: set[datetime] = set()
        for day in range(_DAYS):
            for edge in (self.start, self.end):
                wall = datetime.combine(yesterday + timedelta(days=day), edge, zone)
                moments.update(wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
            moments.update(_clock_change(now + timedelta(days=day), zone))
        return next(moment for moment in sorted(moments) if moment > now and self.contains(moment, zone) != inside)


_DAYS = 5  # from yesterday on: where a zone crosses the date line, a calendar day is missing


def _clock_change(since: datetime, zone: ZoneInfo) -> list[datetime]:
    """The moment, if any, within a day of `since` at which the zone's offset changes."""
    low, high = since.replace(microsecond=0), since.replace(microsecond=0) + timedelta(days=1)
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return []
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    return [high.astimezone(UTC)]
