"""Days as people count them: from midnight to midnight in a time zone. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Where the day begins and ends, in UTC: 23 to 25 hours apart, or 0 where the zone skipped that date."""
    start, end = (datetime.combine(midnight, time(), zone).astimezone(UTC) for midnight in (day, day + _DAY))
    return start, end
