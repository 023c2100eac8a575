"""A window says the same as a walk over the minutes, in every zone and over every change of its clock."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.timezones import names, zone
from shared.domain.window import Window
from tests.support.windows import places, windows

MINUTE = timedelta(minutes=1)
BERLIN, MOSCOW = zone("Europe/Berlin"), zone("Europe/Moscow")


def _minutes(window: Window) -> frozenset[int]:
    """The definition: the minutes of the day that the window names."""
    start, end = (edge.hour * 60 + edge.minute for edge in (window.start, window.end))
    return frozenset((start + number) % 1440 for number in range((end - start) % 1440))


def _shows(minutes: frozenset[int], now: datetime, where: ZoneInfo) -> bool:
    """Whether the local clock shows one of them."""
    local = now.astimezone(where)
    return local.hour * 60 + local.minute in minutes


def _walk(window: Window, now: datetime, where: ZoneInfo, wanted: bool) -> datetime:
    """The first moment from now on at which the window is, or is not, open; found by looking at every minute."""
    minutes = _minutes(window)
    if _shows(minutes, now, where) == wanted:
        return now
    moment = now.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
    while _shows(minutes, moment, where) != wanted:
        moment += MINUTE
    return moment


@settings(max_examples=300, deadline=None)
@given(window=windows, place=places())
@example(Window(time(2, 10), time(2, 50)), (BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC)))
@example(Window(time(1, 0), time(2, 30)), (BERLIN, datetime(2026, 10, 25, 0, 45, tzinfo=UTC)))
@example(Window(time(1, 0), time(2, 30)), (BERLIN, datetime(2026, 10, 25, 2, 45, tzinfo=BERLIN)))
@example(Window(time(23, 30), time(0, 15)), (zone("Pacific/Apia"), datetime(2011, 12, 30, 9, 59, tzinfo=UTC)))
@example(Window(time(2, 0), time(1, 59)), (zone("Australia/Lord_Howe"), datetime(2026, 10, 3, 15, tzinfo=UTC)))
def test_a_window_agrees_with_a_walk_over_the_minutes(window: Window, place: tuple[ZoneInfo, datetime]) -> None:
    where, now = place
    assert window.contains(now, where) == _shows(_minutes(window), now, where)
    assert window.next_opening(now, where) == _walk(window, now, where, True)
    assert window.next_closing(now, where) == _walk(window, now, where, False)


@settings(max_examples=200)
@given(
    window=windows,
    where=st.sampled_from(sorted(names())).map(zone),
    now=st.datetimes(datetime(2025, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_in_every_zone_the_next_change_is_where_it_opens_or_closes(
    window: Window, where: ZoneInfo, now: datetime
) -> None:
    opening, closing = window.next_opening(now, where), window.next_closing(now, where)
    assert min(opening, closing) == now
    assert window.contains(opening, where)
    assert not window.contains(closing, where)
    change = max(opening, closing)
    assert window.contains(change - timedelta(microseconds=1), where) != window.contains(change, where)
    assert change - now <= timedelta(days=2)


@pytest.mark.parametrize(
    ("window", "clock", "is_open"),
    [
        (("09:00", "21:00"), "08:59:59.999999", False),
        (("09:00", "21:00"), "09:00", True),
        (("09:00", "21:00"), "20:59:59.999999", True),
        (("09:00", "21:00"), "21:00", False),
        (("22:00", "06:00"), "21:59:59.999999", False),
        (("22:00", "06:00"), "22:00", True),
        (("22:00", "06:00"), "00:00", True),
        (("22:00", "06:00"), "05:59:59.999999", True),
        (("22:00", "06:00"), "06:00", False),
        (("00:00", "00:01"), "00:00:59", True),
        (("09:00", "00:00"), "23:59:59", True),
        (("09:00", "00:00"), "00:00", False),
    ],
)
def test_the_start_belongs_to_the_window_and_the_end_does_not(
    window: tuple[str, str], clock: str, is_open: bool
) -> None:
    start, end = map(time.fromisoformat, window)
    now = datetime.fromisoformat(f"2026-06-01T{clock}").replace(tzinfo=MOSCOW)
    assert Window(start, end).contains(now, MOSCOW) is is_open


@pytest.mark.parametrize(
    ("where", "window", "now", "opening"),
    [
        ("Europe/Berlin", ("09:00", "21:00"), "2026-06-01T05:00Z", "2026-06-01T07:00Z"),
        ("Europe/Berlin", ("09:00", "21:00"), "2026-06-01T19:00Z", "2026-06-02T07:00Z"),
        ("Europe/Berlin", ("09:00", "21:00"), "2026-06-01T12:00Z", "2026-06-01T12:00Z"),
        # The clock goes from 02:00 to 03:00: a window that begins in the gap opens at its end, ...
        ("Europe/Berlin", ("02:30", "04:00"), "2026-03-29T00:00Z", "2026-03-29T01:00Z"),
        # ... one that lies in it does not open that day.
        ("Europe/Berlin", ("02:10", "02:50"), "2026-03-29T00:00Z", "2026-03-30T00:10Z"),
        # The clock goes from 03:00 back to 02:00: the window opens twice.
        ("Europe/Berlin", ("02:10", "02:50"), "2026-10-25T00:50Z", "2026-10-25T01:10Z"),
        # There was no 30 December: after the 29th comes the 31st.
        ("Pacific/Apia", ("09:00", "21:00"), "2011-12-30T09:00Z", "2011-12-30T19:00Z"),
        ("Pacific/Kiritimati", ("00:00", "01:00"), "2026-06-01T11:00Z", "2026-06-02T10:00Z"),
        ("Etc/GMT+12", ("00:00", "01:00"), "2026-06-01T11:59Z", "2026-06-01T12:00Z"),
    ],
)
def test_when_it_opens_next(where: str, window: tuple[str, str], now: str, opening: str) -> None:
    start, end = map(time.fromisoformat, window)
    found = Window(start, end).next_opening(datetime.fromisoformat(now), zone(where))
    assert found == datetime.fromisoformat(opening)
    assert found.utcoffset() == timedelta(0)
