"""The days of a zone follow each other without gap or overlap, and each one's report is due once."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatcher_service.reporter.days import LOOK_BACK, due_at, latest_due, owed, skipped
from shared.domain.day_bounds import bounds
from shared.domain.timezones import names, zone

DAY = timedelta(days=1)
APIA, HAVANA, CAIRO, BERLIN = map(zone, ("Pacific/Apia", "America/Havana", "Africa/Cairo", "Europe/Berlin"))

zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "Europe/Moscow", "America/New_York", "Australia/Lord_Howe", "America/Havana",
     "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+12"]
).map(zone)  # fmt: skip
days = st.dates(date(2010, 1, 1), date(2040, 1, 1))
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
moments = st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(days, zones)
@example(date(2011, 12, 29), APIA)
def test_a_day_ends_where_the_next_one_begins(day: date, where: ZoneInfo) -> None:
    assert bounds(day, where)[1] == bounds(day + DAY, where)[0]


@given(moments, zones)
def test_every_moment_lies_within_the_day_that_the_local_calendar_shows(now: datetime, where: ZoneInfo) -> None:
    start, end = bounds(now.astimezone(where).date(), where)
    assert start <= now < end


@given(st.dates(date(2024, 1, 1), date(2035, 1, 1)), st.sampled_from(sorted(names())).map(zone))
def test_a_day_begins_on_a_quarter_of_an_hour(day: date, where: ZoneInfo) -> None:
    assert bounds(day, where)[0].timestamp() % 900 == 0


@pytest.mark.parametrize(
    ("where", "day", "start", "hours"),
    [
        ("UTC", "2026-01-30", "2026-01-30T00:00Z", 24),
        ("Europe/Moscow", "2026-01-30", "2026-01-29T21:00Z", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00Z", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00Z", 25),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", 23.5),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00Z", 23),  # begins at 01:00
        ("Africa/Cairo", "2026-10-29", "2026-10-28T21:00Z", 25),  # its last hour comes twice
        ("America/Havana", "2023-11-05", "2023-11-05T04:00Z", 25),  # its midnight comes twice
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00Z", 24),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00Z", 0),  # never was
    ],
)
def test_where_a_day_begins_and_how_long_it_is(where: str, day: str, start: str, hours: float) -> None:
    begin, end = bounds(date.fromisoformat(day), zone(where))
    assert begin == datetime.fromisoformat(start)
    assert end - begin == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("where", "at", "day", "due"),
    [
        ("Europe/Moscow", "09:00", "2026-01-30", "2026-01-31T06:00Z"),
        ("Europe/Berlin", "02:30", "2026-03-28", "2026-03-29T01:30Z"),  # not on the clock that day: an hour later
        ("Europe/Berlin", "02:30", "2026-10-24", "2026-10-25T00:30Z"),  # twice on the clock that day: the first time
        ("UTC", "00:00", "2026-01-30", "2026-01-31T00:01Z"),  # once the last results are in
        ("Pacific/Apia", "09:00", "2011-12-29", "2011-12-30T19:00Z"),  # on the 31st, the next day there was
    ],
)
def test_when_a_report_is_due(where: str, at: str, day: str, due: str) -> None:
    assert due_at(date.fromisoformat(day), time.fromisoformat(at), zone(where)) == datetime.fromisoformat(due)


@given(moments, clocks, zones)
def test_the_latest_report_is_due_and_the_next_one_is_not(now: datetime, at: time, where: ZoneInfo) -> None:
    latest = latest_due(now, at, where)
    assert due_at(latest, at, where) <= now < due_at(latest + DAY, at, where)
    assert bounds(latest, where)[1] < now


@given(moments, st.timedeltas(timedelta(0), timedelta(days=20)), clocks, zones)
def test_as_time_goes_on_every_day_is_owed_once(now: datetime, later: timedelta, at: time, where: ZoneInfo) -> None:
    """By looking every six hours, as by looking once."""
    first = seen = latest_due(now, at, where)
    found = []
    for number in range(later // timedelta(hours=6) + 1):
        latest = latest_due(now + number * timedelta(hours=6), at, where)
        assert latest >= seen
        found += owed(seen, latest, where)
        seen = latest
    assert found == sorted(set(found))
    assert found == [
        day for day in (first + number * DAY for number in range(1, (seen - first).days + 1))
        if bounds(day, where)[0] != bounds(day, where)[1]
    ]  # fmt: skip


@given(days, st.integers(-3, 400), zones)
def test_what_is_owed_and_what_is_skipped_is_all_that_was_not_seen(seen: date, number: int, where: ZoneInfo) -> None:
    latest = seen + number * DAY
    found, lost = owed(seen, latest, where), skipped(seen, latest)
    assert len(found) <= LOOK_BACK
    if number <= 0:
        assert (found, lost) == ([], None)
    elif number <= LOOK_BACK:
        assert lost is None
    else:
        assert lost == (seen + DAY, latest - LOOK_BACK * DAY)
        assert lost[1] < found[0]


def test_a_date_that_never_was_is_not_owed() -> None:
    assert owed(date(2011, 12, 28), date(2011, 12, 31), APIA) == [date(2011, 12, 29), date(2011, 12, 31)]
