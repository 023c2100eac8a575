"""How fast a mailing went out, from what was noted of it."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.course import MOST, STEPS, Moment, course, step

START = datetime(2050, 1, 31, 9, tzinfo=UTC)


def at(seconds: float, accepted: int, failed: int = 0) -> Moment:
    return Moment(START + timedelta(seconds=seconds), accepted, failed)


def counts(moments: list[Moment], began: datetime | None = START) -> list[tuple[int, int]]:
    found = course(moments, began)
    assert found is not None
    assert found.bars[0].at == min(START, moments[0].at - STEPS[0])
    return [(bar.accepted, bar.failed) for bar in found.bars]


def test_what_was_noted_in_time_is_a_bar_each() -> None:
    assert counts([at(10, 500), at(20, 900, 3), at(30, 900, 3), at(35, 950, 4)]) == [
        (500, 0),
        (400, 3),
        (0, 0),
        (50, 1),
    ]


def test_a_moment_that_comes_late_takes_nothing_from_the_next_bar() -> None:
    assert counts([at(10, 100), at(21, 210), at(30, 300)]) == [(100, 0), (100, 0), (100, 0)]


def test_a_mailing_that_rested_did_not_go_out_slowly() -> None:
    """Nothing is noted of one that does not move."""
    assert counts([at(10, 100), at(100, 200)]) == [(100, 0), *[(0, 0)] * 8, (100, 0)]


def test_what_nobody_noted_at_first_lasted_from_its_beginning_on() -> None:
    assert counts([at(30, 300), at(40, 330)]) == [(100, 0), (100, 0), (100, 0), (30, 0)]


def test_a_bar_that_has_just_begun_is_no_slower_than_the_others() -> None:
    found = course([at(10, 100), at(20, 200), at(21, 210)], START)
    assert found is not None
    assert [bar.pace for bar in found.bars] == [10, 10, 10]
    assert found.until == START + timedelta(seconds=21)


def test_of_one_that_failed_from_the_beginning_on_there_is_a_bar() -> None:
    assert counts([at(10, 0, 50), at(30, 0, 50)], None) == [(0, 50), (0, 0), (0, 0)]


def test_of_one_that_nothing_came_of_there_is_none() -> None:
    assert course([], None) is None
    assert course([at(40, 0)], START) is None


def test_what_was_over_in_a_moment_has_no_bars() -> None:
    assert course([at(10, 5), at(19, 9)], START) is None


def test_a_clock_that_goes_back_harms_nobody() -> None:
    assert sum(accepted for accepted, _ in counts([at(10, 10), at(30, 20), at(15, 30)])) == 20


@pytest.mark.parametrize("days", [0.001, 0.1, 1, 3, 30, 365])
def test_nothing_is_lost_and_there_are_not_too_many_bars(days: float) -> None:
    whole = timedelta(days=days)
    moments = [at(10, 7)]
    while moments[-1].at < START + whole:
        age = moments[-1].at - START
        moments.append(Moment(moments[-1].at + step(age), moments[-1].accepted + 7, moments[-1].failed + 1))
    assert len(moments) <= MOST * len(STEPS)
    found = course(moments, START)
    assert found is not None
    assert len(found.bars) <= MOST
    assert sum(bar.accepted for bar in found.bars) == moments[-1].accepted
    assert sum(bar.failed for bar in found.bars) == moments[-1].failed
