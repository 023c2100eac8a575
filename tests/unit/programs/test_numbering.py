"""Clients from the numbering plan are unique, real, spread by capacity, and the same every time."""

import math
import tracemalloc
from collections import Counter
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.numbering import TAGS, clients
from shared.domain import timezones
from shared.domain.numbering import Range, ranges

seeds = st.integers(0, 2**64)


@st.composite
def plans(draw: st.DrawFn) -> list[Range]:
    """A few small ranges with gaps between them, in any order."""
    sizes = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), min_size=1, max_size=12))
    ends = accumulate(gap + size for gap, size in sizes)
    plan = [
        Range(draw(st.sampled_from("abc")), draw(st.sampled_from("xyz")), 1000 + end - size, 1000 + end - 1)
        for end, (_, size) in zip(ends, sizes, strict=True)
    ]
    return draw(st.permutations(plan))


def _range_of(plan: list[Range]) -> dict[int, Range]:
    return {phone: range_ for range_ in plan for phone in range(range_.first, range_.last + 1)}


@given(plans(), seeds)
def test_asked_for_all_it_gives_every_number_once_with_the_code_and_zone_of_its_range(
    plan: list[Range], seed: int
) -> None:
    expected = _range_of(plan)
    made = list(clients(len(expected), seed, plan))
    assert sorted(int(client.phone) for client in made) == sorted(expected)
    for client in made:
        range_ = expected[int(client.phone)]
        assert (client.operator_code, client.timezone) == (range_.operator_code, range_.timezone)


@given(plans(), seeds)
def test_the_first_are_one_from_each_range(plan: list[Range], seed: int) -> None:
    range_of = _range_of(plan)
    made = clients(len(plan), seed, plan)
    assert Counter(range_of[int(client.phone)] for client in made) == Counter(plan)


@given(seeds, st.integers(0, 1200), st.integers(0, 1200))
def test_a_seed_gives_the_same_clients_again_and_fewer_are_the_beginning_of_more(
    seed: int, some: int, more: int
) -> None:
    some, more = sorted((some, more))
    assert list(clients(some, seed)) == list(clients(more, seed))[:some]


@given(seeds)
def test_23_clients_have_every_zone_and_79_every_code(seed: int) -> None:
    made = list(clients(79, seed))
    assert {client.timezone for client in made[:23]} == {range_.timezone for range_ in ranges()}
    assert {client.operator_code for client in made} == {range_.operator_code for range_ in ranges()}


@given(seeds, seeds)
def test_another_seed_gives_other_clients(one: int, other: int) -> None:
    made = list(clients(2000, one)), list(clients(2000, other))
    assert (made[0] == made[1]) == (one == other)


def test_the_plan_is_real_and_consistent() -> None:
    plan = ranges()
    assert len(plan) == 957
    assert len({range_.operator_code for range_ in plan}) == 79
    assert len({range_.timezone for range_ in plan}) == 23
    assert {range_.timezone for range_ in plan} <= timezones.names()
    for range_ in plan:
        assert 70000000000 <= range_.first <= range_.last <= 79999999999
        assert str(range_.first)[1:4] == str(range_.last)[1:4] == range_.operator_code
    ordered = sorted(plan, key=lambda range_: range_.first)
    assert all(before.last < after.first for before, after in pairwise(ordered))


def test_a_hundred_thousand_are_spread_by_capacity_in_flat_memory() -> None:
    count = 100_000
    ranges()  # read once and kept
    by_zone: Counter[str] = Counter()
    phones = bytearray(count * 8)
    tracemalloc.start()
    for number, client in enumerate(clients(count, 7)):
        by_zone[client.timezone] += 1
        phones[number * 8 : number * 8 + 8] = int(client.phone).to_bytes(8, "big")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    assert len(set(memoryview(phones).cast("Q"))) == count
    one_each = Counter(range_.timezone for range_ in ranges())
    capacity: Counter[str] = Counter()
    for range_ in ranges():
        capacity[range_.timezone] += range_.numbers
    for zone, numbers in capacity.items():
        drawn = (count - one_each.total()) * numbers / capacity.total()
        assert by_zone[zone] - one_each[zone] == pytest.approx(drawn, abs=5 * math.sqrt(drawn))


def test_tags_are_the_ones_declared() -> None:
    assert {client.tag for client in clients(1000)} == set(TAGS)


@pytest.mark.parametrize("count", [-1, 10**9])
def test_more_than_there_are_numbers_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="number of clients"):
        clients(count)
