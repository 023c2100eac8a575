"""When the database's clock parts from ours."""

from datetime import UTC, datetime, timedelta

import pytest

from dispatcher_service.leading.clock_watch import ClockWatch

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def shown(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "before", "after", "step"),
    [
        (110.0, 109.9, 110.1, 0.0),
        (110.9, 109.9, 110.1, 0.0),  # within the tolerance
        (150.0, 109.9, 110.1, 40.0),
        (70.0, 109.9, 110.1, -40.0),
        (3710.0, 3709.9, 3710.1, 0.0),  # after an hour without a reading
        (110.0, 109.9, 150.0, 0.0),  # the answer took long, or we were frozen in between
        (150.0, 109.9, 150.0, 0.0),
        (190.0, 109.9, 150.0, 40.0),
    ],
)
def test_a_step_is_what_no_time_between_the_readings_explains(
    seconds: float, before: float, after: float, step: float
) -> None:
    watch = ClockWatch()
    assert watch.step(shown(100.0), 99.9, 100.1) == 0.0
    assert watch.step(shown(seconds), before, after) == pytest.approx(step, abs=0.5)


def test_a_step_is_told_once() -> None:
    watch = ClockWatch()
    assert watch.step(shown(100.0), 100.0, 100.0) == 0.0
    assert watch.step(shown(141.0), 101.0, 101.0) == pytest.approx(40.0)
    assert watch.step(shown(142.0), 102.0, 102.0) == 0.0
    assert watch.step(shown(103.0), 103.0, 103.0) == pytest.approx(-40.0)
