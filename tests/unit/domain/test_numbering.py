"""Where a number was issued, with what is not known of it."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import numbering
from shared.domain.numbering import Origin, origin, ranges

phones = st.integers(70_000_000_000, 79_999_999_999)


def test_a_number_of_a_known_range_has_its_operator_and_its_zone() -> None:
    found = origin(79_009_210_000)
    assert found is not None
    assert (found.zone, found.operator) == ("Asia/Tomsk", "Т2 МОБАЙЛ")


@given(st.sampled_from(ranges()), st.data())
def test_both_ends_of_a_range_and_all_between_belong_to_it(one: numbering.Range, data: st.DataObject) -> None:
    for phone in (one.first, one.last, data.draw(st.integers(one.first, one.last))):
        found = origin(phone)
        assert found is not None
        assert (found.zone, found.operator) == (one.timezone, one.operator)


def test_another_number_of_a_code_may_come_from_all_its_zones() -> None:
    found = origin(79_000_000_000)
    assert found is not None
    assert (found.zone, found.operator) == (None, None)
    assert {"Europe/Moscow", "Asia/Anadyr"} <= found.zones.keys()
    assert list(found.zones.values()) == sorted(found.zones.values(), reverse=True)


@given(phones)
def test_what_may_be_is_whole(phone: int) -> None:
    found = origin(phone)
    codes = {one.operator_code for one in ranges()}
    assert (found is not None) == (str(phone)[1:4] in codes)
    if found:
        assert sum(found.zones.values()) == pytest.approx(1)
        assert sum(found.operators.values()) == pytest.approx(1)


@pytest.mark.parametrize("phone", [0, -1, 79, 4_900_210_000, 69_999_999_999, 80_000_000_000, 10**30])
def test_what_is_no_russian_number_comes_from_nowhere(phone: int) -> None:
    assert origin(phone) is None


def test_most_codes_are_ambiguous() -> None:
    """Of those 79 that the file has; it has one operator for each code and zone, the register has more."""
    outside = [found for code in {one.operator_code for one in ranges()} if (found := _outside(code))]
    assert len(outside) >= 75
    assert sum(found.operator is None for found in outside) >= 46
    assert sum(found.zone is None for found in outside) >= 60


def _outside(code: str) -> Origin | None:
    """What is said of a number of a code that lies in none of its ranges. None: all lie in one."""
    some = [one for one in ranges() if one.operator_code == code]
    numbers = range(int(f"7{code}0000000"), int(f"7{code}9999999"), 1000)
    free = (phone for phone in numbers if not any(one.first <= phone <= one.last for one in some))
    return next(map(origin, free), None)


def test_ranges_do_not_overlap() -> None:
    ordered = sorted(ranges(), key=lambda one: one.first)
    assert all(one.last < other.first for one, other in pairwise(ordered))
    assert all(str(one.first)[1:4] == str(one.last)[1:4] == one.operator_code for one in ordered)


def test_the_plan_takes_little_memory() -> None:
    numbering.ranges.cache_clear()
    numbering._plan.cache_clear()
    tracemalloc.start()
    try:
        origin(79_000_000_000)
        assert tracemalloc.get_traced_memory()[0] < 3_000_000
    finally:
        tracemalloc.stop()
