"""No key holds more than half of the threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from api_service.web.share import Share


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 1), (3, 2), (8, 4), (9, 5)])
def test_half_of_the_threads_rounded_up(threads: int, most: int) -> None:
    share = Share(threads)
    assert [share.enter("a") for _ in range(threads + 1)] == [True] * most + [False] * (threads + 1 - most)
    assert share.enter("b")
    share.leave("a")
    assert [share.enter("a") for _ in range(2)] == [True, False]


def test_threads_at_the_same_time_are_counted_one_by_one() -> None:
    share, together = Share(8), Barrier(16)

    def come_and_go() -> bool:
        together.wait(10)
        let_in = share.enter("a")
        together.wait(10)
        if let_in:
            share.leave("a")
        return let_in

    with ThreadPoolExecutor(16) as pool:
        for _ in range(50):
            assert sum(pool.map(lambda _: come_and_go(), range(16))) == 4
    assert not share._under_way
