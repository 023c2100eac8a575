"""Lines that repeat themselves: a few are shown, and of none is it unknown how often it was there."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from api_service.web.thinning import Thinning


def test_the_first_few_are_shown_and_the_others_counted() -> None:
    thinning: Thinning[int] = Thinning(limit=3, window=10.0)
    shown = [line for line in range(1600) if thinning.shows("a", "GET 401", line, now=line / 1600)]
    assert shown == [0, 1, 2]
    assert list(thinning.repeated(9.9)) == []
    assert list(thinning.repeated(10.0)) == [(1599, 1597)]
    assert list(thinning.repeated(30.0)) == []
    assert thinning.shows("a", "GET 401", 1, now=30.0), "a new window"


def test_what_was_shown_whole_is_not_said_again() -> None:
    thinning: Thinning[int] = Thinning(limit=3)
    assert all(thinning.shows("a", "GET 401", line, now=0.0) for line in range(3))
    assert list(thinning.rest()) == []


def test_one_who_floods_takes_no_lines_from_others() -> None:
    thinning: Thinning[int] = Thinning(limit=3)
    for line in range(100):
        thinning.shows("a", "GET 401", line, now=0.0)
    assert thinning.shows("b", "GET 401", 1, now=0.0)
    assert thinning.shows("a", "GET 503", 1, now=0.0)


def test_a_window_that_is_over_is_not_forgotten_when_a_new_one_begins() -> None:
    thinning: Thinning[str] = Thinning(limit=1, window=10.0)
    for line in ("first", "second"):
        thinning.shows("a", "GET 401", line, now=0.0)
    assert thinning.shows("a", "GET 401", "third", now=11.0)
    assert list(thinning.repeated(11.0)) == [("second", 1)]


def test_a_crowd_takes_neither_the_memory_nor_the_log() -> None:
    thinning: Thinning[int] = Thinning(limit=2, most=10)
    shown = sum(thinning.shows(f"address {number}", "GET 401", number, now=0.0) for number in range(100_000))
    assert shown == 10 + 2
    assert len(thinning._kinds) == 11
    assert list(thinning.rest()) == [(99_999, 100_000 - 12)]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["GET 401", "GET 503"]), st.floats(0, 8)), max_size=200),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_every_line_is_shown_or_counted_by_what_it_is_about(
    asked: list[tuple[int, str, float]], limit: int, most: int
) -> None:
    thinning: Thinning[str] = Thinning(limit, 10.0, most)
    now, told = 0.0, Counter[str]()
    for who, what, later in asked:
        now += later
        told[what] += thinning.shows(who, what, what, now)
        if who == 0:
            told.update(dict(_together(thinning.repeated(now))))
    told.update(dict(_together(thinning.rest())))
    assert +told == Counter(what for _, what, _ in asked)


def _together(repeated: object) -> Counter[str]:
    counted = Counter[str]()
    for line, number in repeated:  # type: ignore[attr-defined]
        counted[line] += number
    return counted
