"""How many dispatchers there should be: what meets all ends, and no more where more change nothing."""

import pytest

from dispatcher_service.leading.wanted import (
    FOR_ENDS,
    LEAST,
    MOST,
    PATIENCE,
    SOONEST,
    Demand,
    Dispatchers,
    PaceOfOne,
    needed_pace,
    wanted,
)

HOUR = 3600.0


@pytest.mark.parametrize(
    ("demands", "pace"),
    [
        ([], 0),
        ([Demand(3600, HOUR)], 1),
        ([Demand(3600, HOUR), Demand(3600, HOUR)], 2),
        ([Demand(3600, 24 * HOUR), Demand(7200, HOUR)], 2),  # the far one has time after the near one
        ([Demand(7200, HOUR), Demand(90_000, 2 * HOUR)], 13.5),  # by the second end both have to be gone
        ([Demand(600, 1)], 600 / SOONEST),  # nobody who is asked for now comes within a second
        ([Demand(1_000_000, 7 * 24 * HOUR)], 1_000_000 / (7 * 24 * HOUR)),
    ],
)
def test_what_meets_all_ends(demands: list[Demand], pace: float) -> None:
    assert needed_pace(demands) == pytest.approx(pace)


MANY = [Demand(360_000, HOUR)]  # 100 a second


@pytest.mark.parametrize(
    ("demands", "dispatchers", "number"),
    [
        ([], Dispatchers(0), LEAST),
        ([], Dispatchers(9, 10.0), LEAST),
        ([Demand(10, HOUR)], Dispatchers(2, 10.0), LEAST),
        (MANY, Dispatchers(1, 10.0 / FOR_ENDS), 10),
        (MANY, Dispatchers(10, 10.0 / FOR_ENDS), 10),  # it does not go by how many there are
        (MANY, Dispatchers(1, 50.0), 3),  # with what is kept for what goes wrong
        (MANY, Dispatchers(3), 3),  # nobody knows yet how fast one is
        (MANY, Dispatchers(2, 10.0, is_held_up=True), 2),  # more of them make no provider faster
        (MANY, Dispatchers(1, 10.0, is_held_up=True), LEAST),
        ([Demand(10, HOUR)], Dispatchers(4, 10.0, oldest=PATIENCE), LEAST),
        ([Demand(10, HOUR)], Dispatchers(4, 10.0, oldest=PATIENCE + 1), 5),
        ([Demand(10, HOUR)], Dispatchers(4, 10.0, is_held_up=True, oldest=PATIENCE + 1), 4),
        (MANY, Dispatchers(2, 0.001), MOST),
    ],
)
def test_how_many(demands: list[Demand], dispatchers: Dispatchers, number: int) -> None:
    assert wanted(demands, dispatchers) == number


def seen(*paces: tuple[list[float], bool]) -> float | None:
    one = PaceOfOne()
    for each, is_busy in paces:
        one.see(each, is_busy=is_busy)
    return one.value


@pytest.mark.parametrize(
    ("paces", "value"),
    [
        ([], None),
        ([([0.0, 0.0], True)], None),
        ([([100.0, 0.0], True)], 100.0),  # one that has just begun says nothing
        ([([100.0, 50.0], True)], 75.0),
        ([([100.0], True), ([1.0], False)], 100.0),  # it has little to do
        ([([100.0], True), ([120.0], False)], 120.0),  # it can be that fast
        ([([100.0], True)] + [([10.0], True)] * 30, 10.0),  # it has become slower
    ],
)
def test_the_pace_of_one_is_that_of_one_which_has_all_it_can_do(
    paces: list[tuple[list[float], bool]], value: float | None
) -> None:
    assert seen(*paces) == (None if value is None else pytest.approx(value, rel=0.02))
