"""Which segments may name which."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.segments import MAX_DEPTH, MAX_SPELLED_OUT, Graph, circle, fault, namers


@pytest.mark.parametrize(
    ("graph", "way"),
    [
        ({}, None),
        ({1: [2], 2: [3]}, None),
        ({1: [1]}, [1, 1]),
        ({1: [2], 2: [1]}, [1, 2, 1]),
        ({1: [2, 5], 2: [3], 3: [4], 4: [1], 5: [4]}, [1, 5, 4, 1]),
        ({1: [2], 2: [3], 3: [2]}, None),  # one that it is no part of
        ({1: [7]}, None),  # which is not there
    ],
)
def test_a_circle_is_found_with_its_shortest_way(graph: Graph, way: Sequence[int] | None) -> None:
    assert circle(graph, 1) == way


@given(st.dictionaries(st.integers(1, 6), st.lists(st.integers(1, 6), max_size=4)))
def test_in_any_graph_a_circle_is_a_way_back(graph: dict[int, list[int]]) -> None:
    way = circle(graph, 1)
    assert (way is not None) == (1 in namers(graph, 1))
    if way is not None:
        assert way[0] == way[-1] == 1
        assert all(there in graph[here] for here, there in pairwise(way))


def chain(length: int) -> dict[int, list[int]]:
    return {n: [n + 1] for n in range(1, length)} | {length: []}


def doubling(depth: int) -> dict[int, list[int]]:
    """Each names the next one twice: spelled out, the first is 2^depth - 1."""
    return {n: [n + 1, n + 1] for n in range(1, depth)} | {depth: []}


@pytest.mark.parametrize(
    ("graph", "named", "is_taken"),
    [
        ({}, [], True),
        (chain(MAX_DEPTH), [1], True),
        (chain(MAX_DEPTH + 1), [1], False),
        ({1: list(range(2, 102))}, [1], True),  # a segment of a hundred segments
        ({1: list(range(2, MAX_SPELLED_OUT))}, [1], True),
        ({1: list(range(2, MAX_SPELLED_OUT + 1))}, [1], False),
        (doubling(8), [1], True),
        (doubling(9), [1], False),
        (doubling(10), [1] * 100, False),
    ],
)
def test_how_much_they_may_name(graph: Graph, named: Sequence[int], is_taken: bool) -> None:
    assert (fault(graph, named) is None) == is_taken


def test_who_names_one_at_any_distance() -> None:
    assert namers({1: [2], 2: [3], 4: [3], 5: [1], 6: [7]}, 3) == {1, 2, 4, 5}
