"""Windows, and moments at which the clocks of their zones do something odd."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from shared.domain.timezones import zone
from shared.domain.window import Window

# Zones, and moments about which their clocks change or something else is odd.
ODD = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),  # an hour forward, an hour back
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),  # half an hour
    "America/Havana": ("2023-03-12T05:00", "2023-11-05T05:00"),  # at midnight
    "Africa/Cairo": ("2026-04-23T22:00", "2026-10-29T21:00"),  # at midnight, and back to the day before
    "Africa/Casablanca": ("2026-02-15T02:00", "2026-03-22T02:00"),  # a month of another offset
    "Antarctica/Troll": ("2026-03-29T01:00", "2026-10-25T01:00"),  # two hours
    "Pacific/Apia": ("2011-12-30T10:00",),  # a day that never was
    "Pacific/Kwajalein": ("1993-08-21T12:00",),  # another one
    "America/Juneau": ("1983-10-30T10:00",),  # two hours back, across a change of zone
    "Pacific/Kiritimati": ("2026-06-01T10:00",),  # +14
    "Etc/GMT+12": ("2026-06-01T12:00",),  # -12
    "Asia/Kathmandu": ("2026-06-01T18:15",),  # +5:45
    "Europe/Moscow": ("2014-10-25T22:00", "2026-06-01T21:00"),
    "UTC": ("2026-06-01T00:00",),
}  # fmt: skip
MOMENTS = [(zone(name), datetime.fromisoformat(at).replace(tzinfo=UTC)) for name, ats in ODD.items() for at in ats]

times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
windows = st.tuples(times, times).filter(lambda edges: edges[0] != edges[1]).map(lambda edges: Window(*edges))


@st.composite
def places(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and a moment up to two days from one of its odd ones, given in UTC or in the zone itself."""
    where, at = draw(st.sampled_from(MOMENTS))
    most = draw(st.sampled_from([2 * 86400, 2 * 3600]))
    at += timedelta(seconds=draw(st.integers(-most, most)), microseconds=draw(st.sampled_from([0, 1, 999_999])))
    return where, at if draw(st.booleans()) else at.astimezone(where)
