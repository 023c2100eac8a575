"""The hours of a window as a claim asks for them, again and again: what is kept from the last time is still true."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.hours import hours_of
from shared.domain.window import Window
from tests.support.windows import places, windows

DAY = 86_400


@given(
    window=windows,
    place=places(),
    steps=st.lists(st.integers(-2 * DAY, 2 * DAY) | st.integers(-2, 2), min_size=1, max_size=8),
)
def test_whatever_the_clock_showed_before(window: Window, place: tuple[ZoneInfo, datetime], steps: list[int]) -> None:
    """It may step back, too. The answer is that of the window, and the change lies ahead."""
    where, now = place
    now = now.astimezone(UTC)
    hours = hours_of(window, where.key)
    for step in steps:
        now += timedelta(seconds=step)
        is_open, change = hours.at(now)
        assert is_open == window.contains(now, where)
        assert change == (window.next_closing if is_open else window.next_opening)(now, where)
        assert change > now
        assert window.contains(change, where) != is_open
