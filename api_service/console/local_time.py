"""Moments in forms: days and times of the reader's own clock, as browsers fill them in."""

from datetime import datetime
from zoneinfo import ZoneInfo

_MINUTE = "%Y-%m-%dT%H:%M"

SHAPE = "Must be a day and a time such as 2050-01-31T09:00."


def given(text: str, zone: ZoneInfo) -> str:
    """As the API takes it. Raises ValueError."""
    return datetime.strptime(text[:16], _MINUTE).replace(tzinfo=zone).isoformat()


def shown(moment: datetime | None, zone: ZoneInfo) -> str:
    """Empty where there is none."""
    return moment.astimezone(zone).strftime(_MINUTE) if moment else ""
