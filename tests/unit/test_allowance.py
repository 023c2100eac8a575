"""What one dispatcher has reserved of the wire, and when it asks for more."""

from random import Random

import pytest

from benchmarks.simulation.limits import run
from dispatcher_service.pipeline.allowance import LATE, LONGEST, SHORTEST, Allowance


def late() -> Allowance:
    """One whose dice always show the most."""
    return Allowance(lambda: 1.0)


def test_it_asks_when_nothing_is_left() -> None:
    allowance = late()
    assert allowance.asks(10.0)
    allowance.got(3, 0.1, 0.05, 10.0)
    assert not allowance.asks(10.0)
    assert allowance.left(10.0) == 3
    assert allowance.use(2) == pytest.approx([10.1, 10.15])
    assert allowance.left(10.0) == 1
    assert not allowance.asks(10.0), "what is left goes out with the next claim"
    allowance.use(1)
    assert allowance.asks(10.0)


def test_what_is_not_used_in_time_is_lost() -> None:
    allowance = late()
    allowance.got(3, 0.0, 0.1, 10.0)
    assert allowance.left(10.1 + LATE) == 2
    assert allowance.left(10.3 + LATE) == 0
    assert allowance.asks(10.3 + LATE)


def test_it_waits_longer_each_time_that_somebody_else_was_faster() -> None:
    allowance, now, pauses = late(), 10.0, []
    for _ in range(20):
        allowance.got(0, 1.0, 0.05, now)
        assert not allowance.asks(now + 1.0)
        pauses.append(next(step / 100 for step in range(1_000) if allowance.asks(now + step / 100)) - 1.0)
        now += 10
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(SHORTEST, abs=0.011)
    assert pauses[-1] == pytest.approx(LONGEST, abs=0.011)
    allowance.got(1, 0.0, 0.05, now)
    allowance.use(1)
    allowance.got(0, 1.0, 0.05, now)
    assert allowance.asks(now + 1.0 + SHORTEST + 0.01)


@pytest.mark.parametrize("dispatchers", [1, 2, 10, 50])
@pytest.mark.parametrize("rate", [1.0, 20.0, 2_000.0])
@pytest.mark.parametrize("stale", [0.0, 0.5])
def test_any_number_of_dispatchers_keeps_the_rate_and_none_holds_a_message(
    rate: float, dispatchers: int, stale: float
) -> None:
    found = run(rate, dispatchers, stale, Random(dispatchers), seconds=30.0)
    assert found.rate == pytest.approx(1.0, abs=0.05)
    assert found.most <= 1.05 + 1 / rate
    assert found.asked <= 100
    assert found.waited <= 0.5
