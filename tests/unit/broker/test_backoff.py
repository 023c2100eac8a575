"""The pauses between the tries to get a connection back."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.backoff import backoff


@pytest.mark.parametrize(
    ("chance", "pauses"),
    [
        (0.0, [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]),
        (1.0, [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]),
    ],
)
def test_pauses_double_up_to_the_longest(chance: float, pauses: list[float]) -> None:
    assert list(islice(backoff(chance=lambda: chance), 8)) == pytest.approx(pauses)


@given(first=st.floats(0.001, 10), longest=st.floats(0.001, 60), chances=st.lists(st.floats(0, 1), min_size=1))
def test_no_pause_is_longer_than_the_longest_or_shorter_than_half_of_the_first(
    first: float, longest: float, chances: list[float]
) -> None:
    drawn = iter(chances)
    for pause in islice(backoff(first, longest, chance=lambda: next(drawn)), len(chances)):
        assert min(first, longest) / 2 <= pause <= longest
