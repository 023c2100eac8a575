"""When a mailing would be done, by zones, windows, rates and what goes before it."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.mailings.forecast import by_hour, done_at, least_limit, openings
from shared.domain.window import Window

DAY = Window(time(9), time(21))
MOSCOW, OMSK, VLADIVOSTOK, NEW_YORK = "Europe/Moscow", "Asia/Omsk", "Asia/Vladivostok", "America/New_York"
NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)  # 15:00 in Moscow, 18:00 in Omsk, 22:00 in Vladivostok, 7:00 in New York


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("people", "window", "rate", "ahead", "hours"),
    [
        ({MOSCOW: 3600}, None, 1.0, 0, 1),
        ({MOSCOW: 3600, OMSK: 3600}, None, 1.0, 0, 2),
        ({MOSCOW: 3600}, DAY, 1.0, 0, 1),
        ({MOSCOW: 7 * 3600}, DAY, 1.0, 0, 19),  # 6 hours until 21:00, and one on the next day from 9:00
        ({VLADIVOSTOK: 3600}, DAY, 1.0, 0, 12),  # from 9:00 there, in 11 hours
        ({MOSCOW: 3600, NEW_YORK: 3600}, DAY, 1.0, 0, 3),  # from 9:00 there, in 2 hours
        ({MOSCOW: 4 * 3600, NEW_YORK: 3600}, DAY, 1.0, 0, 5),  # without a pause
        ({MOSCOW: 3600}, None, 1.0, 9 * 3600, 10),  # a tenth of the rate as long as others go before it
        ({MOSCOW: 36}, None, 1.0, 10**9, 0.1),
        ({}, DAY, 1.0, 0, 0),
        ({MOSCOW: 0}, DAY, 1.0, 0, 0),
    ],
)
def test_when_the_last_one_is_sent(
    people: dict[str, int], window: Window | None, rate: float, ahead: int, hours: float
) -> None:
    found = done_at(people, window, NOON, rate, ahead)
    assert found is not None
    assert abs(found - at(hours)) < timedelta(seconds=1)


def test_what_takes_weeks_is_told_by_the_days_before() -> None:
    """12 hours of each day are open."""
    found = done_at({MOSCOW: 30 * 12 * 3600}, DAY, NOON, 1.0)
    assert found is not None
    assert timedelta(days=29) < found - NOON < timedelta(days=31)


def test_it_goes_faster_once_what_went_before_it_is_gone() -> None:
    """For ten days a tenth of the rate, which is one day's work, and then one day more."""
    found = done_at({MOSCOW: 2 * 86_400}, None, NOON, 1.0, ahead=9 * 86_400)
    assert found is not None
    assert abs(found - NOON - timedelta(days=11)) < timedelta(hours=1)


def test_what_takes_longer_than_ten_years_is_not_told() -> None:
    assert done_at({MOSCOW: 10**9}, None, NOON, 1.0) is None
    assert done_at({MOSCOW: 100}, None, NOON, 0.000001, ahead=10**9) is None


@given(
    st.dictionaries(st.sampled_from([MOSCOW, OMSK, VLADIVOSTOK, NEW_YORK, "UTC"]), st.integers(0, 50_000)),
    st.sampled_from([None, DAY, Window(time(22), time(2))]),
    st.floats(0.1, 1000),
    st.integers(0, 10_000),
)
def test_it_never_goes_faster_than_the_rate_and_is_done_once_all_have_been_open(
    people: dict[str, int], window: Window | None, rate: float, ahead: int
) -> None:
    found = done_at(people, window, NOON, rate, ahead)
    least = timedelta(seconds=sum(people.values()) / rate)
    if found is None:
        assert least > timedelta(days=100)
        return
    assert found >= NOON + least - timedelta(seconds=1)
    if window is None and not ahead:
        assert found <= NOON + least * 1.001 + timedelta(seconds=1)
    more = done_at(people, window, NOON, rate * 2, ahead)
    assert more is not None
    assert more <= found + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("dispatch_rate", "providers", "limit"),
    [
        (0, [], 0),
        (0, [0], 0),
        (5, [0], 5),
        (0, [3, 4], 7),
        (0, [3, 0], 0),
        (5, [3, 4], 5),
        (9, [3, 4], 7),
        (9, [3, 0], 9),
    ],
)
def test_the_least_limit_holds(dispatch_rate: float, providers: list[float], limit: float) -> None:
    """One provider without a limit is enough for there to be none."""
    assert least_limit(dispatch_rate, providers) == limit


def test_when_each_zone_may_be_reached_first() -> None:
    found = openings({MOSCOW: 2, VLADIVOSTOK: 3, NEW_YORK: 4}, DAY, NOON, at(6))
    assert [(one.zone, one.people, one.at) for one in found] == [
        (NEW_YORK, 4, at(2)),
        (VLADIVOSTOK, 3, None),
        (MOSCOW, 2, NOON),
    ]
    assert by_hour(found) == {9: 4, 15: 2}


def test_a_window_that_opens_at_the_end_opens_too_late() -> None:
    assert openings({NEW_YORK: 1}, DAY, NOON, at(2))[0].at is None
    assert openings({NEW_YORK: 1}, DAY, NOON, at(2.01))[0].at == at(2)


def test_without_a_window_everybody_is_reached_at_the_start() -> None:
    found = openings({MOSCOW: 2, VLADIVOSTOK: 3}, None, NOON, at(1))
    assert by_hour(found) == {15: 2, 22: 3}
