"""Twenty messages and a huge mailing that has begun before them: they do not wait for it."""

from collections.abc import Sequence

import pytest

from sandbox.simulator.faults import Faults
from shared import clock
from tests.e2e.system import System
from tests.long.conftest import RunSystem

HUGE, FEW = 25_000, 20
CALLS = 64
"""So the huge one takes seconds times as many as the provider takes for a call: 39 s at 100 ms, minutes at 500 ms."""


def _begun(system: System, latency: float, sent: int) -> int:
    """The huge mailing, with so many of its messages sent; its end is an hour away."""
    system.simulator.set_faults(Faults(latency_ms=latency * 1000))
    system.fill(HUGE, tag="huge")
    system.fill(FEW, tag="few")
    huge = system.mail(tags=["huge"], lasts=3600)
    system.until_sent(huge, sent, within=60)
    return huge


def _waits(system: System, lasts: float) -> Sequence[float]:
    """A mailing to the few: seconds from its creation until each was accepted, in that order."""
    created_at = clock.now().timestamp()
    few = system.mail(tags=["few"], lasts=lasts)
    system.until_sent(few, FEW, within=120)
    waits = sorted(one.first_at - created_at for one in system.received(few).values())
    print(f"first after {waits[0]:.1f} s, last after {waits[-1]:.1f} s")
    return waits


def _stop(system: System, huge: int) -> None:
    assert system.figures(huge)["sent"] < HUGE, "it was still under way"
    system.api.cancel(huge)


def test_those_that_end_later_are_not_left_to_the_end(
    run_system: RunSystem, database_url: str, rabbitmq_url: str
) -> None:
    """Before, the first one came after 38 s, when all of the others were out."""
    system = run_system(database_url, rabbitmq_url, dispatchers=1, DISPATCH_CONCURRENCY=str(CALLS))
    huge = _begun(system, 0.1, sent=2_000)
    waits = _waits(system, lasts=7200)
    _stop(system, huge)
    assert waits[0] < 5
    assert waits[-1] < 10


@pytest.mark.parametrize("latency", [0.2, 0.5, 2.0])
def test_those_that_end_first_overtake(
    run_system: RunSystem, database_url: str, rabbitmq_url: str, latency: float
) -> None:
    """Before: after 2.1, 4.8 and 28 to 36 s."""
    system = run_system(
        database_url, rabbitmq_url, dispatchers=1, DISPATCH_CONCURRENCY=str(CALLS), PROVIDER_TIMEOUT="10"
    )
    huge = _begun(system, latency, sent=2 * CALLS)
    waits = _waits(system, lasts=600)
    _stop(system, huge)
    assert waits[-1] < 3 + 2 * latency


def test_those_that_end_first_overtake_at_a_low_rate_of_ten_dispatchers(
    run_system: RunSystem, database_url: str, rabbitmq_url: str
) -> None:
    """Before: after 63 to 88 s. They take a second by themselves."""
    system = run_system(database_url, rabbitmq_url, dispatchers=10, DISPATCH_RATE="20")
    huge = _begun(system, 0.0, sent=60)
    waits = _waits(system, lasts=600)
    _stop(system, huge)
    assert waits[-1] < 5 + FEW / 20
