"""Which days a report is owed of, and when each is due. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.domain.day_bounds import bounds

LOOK_BACK = 7
"""How many days are caught up after a time in which no reporter ran."""

_SETTLE = timedelta(minutes=1)  # results of the day's last second are committed by then
_DAY = timedelta(days=1)


def due_at(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the report of that day is to be sent: on the next one, when its clock first shows `at`."""
    _, end = bounds(day, zone)
    return max(datetime.combine(day + _DAY, at, zone).astimezone(UTC), end + _SETTLE)


def latest_due(now: datetime, at: time, zone: ZoneInfo) -> date:
    """The last day whose report is due by now."""
    day = now.astimezone(zone).date() - _DAY
    while due_at(day, at, zone) > now:
        day -= _DAY
    return day


def owed(seen: date, latest: date, zone: ZoneInfo) -> list[date]:
    """The days after `seen` up to `latest`, oldest first: the last LOOK_BACK of them, without dates that never were."""
    first = max(seen, latest - LOOK_BACK * _DAY) + _DAY
    days = [first + number * _DAY for number in range((latest - first).days + 1)]
    return [day for day in days if len(set(bounds(day, zone))) == 2]


def skipped(seen: date, latest: date) -> tuple[date, date] | None:
    """The first and the last day after `seen` that lie too far back to be caught up; None where there is none."""
    last = latest - LOOK_BACK * _DAY
    return (seen + _DAY, last) if last > seen else None
