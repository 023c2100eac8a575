"""How fast results come in: what the size of jobs, and what waits for a call, go by."""

import pytest

from dispatcher_service.sending.throughput import Throughput


def waves(throughput: Throughput, number: int, *, calls: int, lasts: float, spread: float) -> list[float]:
    """Calls that began together, a wave after the other; a wave's answers come in that spread. What was shown."""
    shown = []
    for wave in range(1, number + 1):
        for step in range(16):
            throughput.count(calls // 16, wave * lasts + step * spread / 16, lasts)
            shown.append(throughput.per_second)
    return shown


@pytest.mark.parametrize("lasts", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("spread", [0.02, 0.15, 0.4])
def test_calls_that_end_together_count_for_no_more_than_they_are(lasts: float, spread: float) -> None:
    """64 calls of 2 s were taken for 427 a second where a busy machine took 0.15 s to read their answers. So jobs were
    13 times as large as they ought to be, and 20 urgent messages came 10 s late. With the end of one wave and the next
    one they were taken for 256, and others came a second late."""
    shown = waves(Throughput(0.0), 20, calls=64, lasts=lasts, spread=spread)
    assert 0.9 * 64 / lasts <= shown[-1]
    assert max(shown) <= 1.6 * 64 / lasts


def test_it_rises_at_once_and_falls_over_a_second() -> None:
    throughput, now = Throughput(0.0), 0.0
    for _ in range(11):
        now += 0.01
        throughput.count(50, now, 0.005)
    assert throughput.per_second == pytest.approx(5_000, rel=0.2)
    for _ in range(10):
        now += 0.1
        throughput.count(10, now, 0.005)
    assert 1_000 < throughput.per_second < 3_000
    for _ in range(40):
        now += 0.1
        throughput.count(10, now, 0.005)
    assert throughput.per_second == pytest.approx(100, rel=0.5)


def test_where_there_was_nothing_to_do_nothing_is_known() -> None:
    throughput = Throughput(0.0)
    throughput.count(500, 0.1, 0.005)
    throughput.rest(0.5)
    throughput.count(500, 0.7, 0.005)
    assert throughput.per_second == pytest.approx(5_000)
    throughput.rest(1.0)
    assert throughput.per_second == 0
