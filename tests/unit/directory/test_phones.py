"""A set of phones in little memory."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from api_service.directory import phones
from api_service.directory.phones import Phones

ANY_PHONE = st.integers(79_000_000_000, 79_000_000_300) | st.integers(70_000_000_000, 79_999_999_999)


@given(st.lists(ANY_PHONE, max_size=400), st.sampled_from([4, phones._DENSE]))
def test_each_is_new_once(some: list[int], dense: int) -> None:
    phones._DENSE, before = dense, phones._DENSE
    try:
        found, seen = Phones(), set[int]()
        for phone in some:
            assert found.add(phone) == (phone not in seen)
            seen.add(phone)
    finally:
        phones._DENSE = before


def test_a_million_of_them_take_a_few_megabytes() -> None:
    chance = random.Random(1)
    some = [chance.randrange(79_000_000_000, 80_000_000_000) for _ in range(200_000)]
    dense = range(79_100_000_000, 79_100_200_000)
    tracemalloc.start()
    found = Phones()
    for phone in (*some, *dense):
        found.add(phone)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 5_000_000
