"""How many clients a slice of a launch looks at, and how many mailings have their first ones together."""

import pytest

from dispatcher_service.leading.launch import (
    FIRST_SPAN,
    LONGEST_SPAN,
    MOST_TOGETHER,
    SHORTEST_SPAN,
    SLICE_SECONDS,
    next_number,
    next_span,
)


@pytest.mark.parametrize(("span", "seconds", "after"), [
    (1000, SLICE_SECONDS, 1000),
    (1000, SLICE_SECONDS / 2, 2000),
    (1000, SLICE_SECONDS / 1000, 4000),  # not all at once: the next clients may be those who match
    (1000, 0.0, 4000),
    (1000, SLICE_SECONDS * 1.25, 800),
    (1000, SLICE_SECONDS * 100, 500),
    (SHORTEST_SPAN, 60.0, SHORTEST_SPAN),
    (LONGEST_SPAN, 0.001, LONGEST_SPAN),
])  # fmt: skip
def test_the_next_span_follows_the_time_that_the_last_one_took(span: int, seconds: float, after: int) -> None:
    assert next_span(span, seconds) == after


@pytest.mark.parametrize("microseconds", [0.3, 3, 30, 300])
def test_whatever_a_client_costs_slices_soon_take_as_long_as_they_are_to(microseconds: float) -> None:
    span = FIRST_SPAN
    for _ in range(8):
        span = next_span(span, span * microseconds / 1e6)
    assert span * microseconds / 1e6 == pytest.approx(SLICE_SECONDS, rel=0.01)


@pytest.mark.parametrize(("number", "most", "seconds", "after"), [
    (16, 16, SLICE_SECONDS, 16),
    (16, 16, 0.001, 64),
    (16, 16, SLICE_SECONDS * 2, 8),
    (3, 16, 0.001, 16),  # there were no more
    (3, 16, SLICE_SECONDS * 2, 1),  # these were slow: more of them would be slower still
    (400, 400, 0.001, MOST_TOGETHER),
])  # fmt: skip
def test_so_many_mailings_are_launched_together_as_take_as_long_as_a_slice(
    number: int, most: int, seconds: float, after: int
) -> None:
    assert next_number(number, most, seconds) == after
