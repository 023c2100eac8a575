"""As fast as the provider takes it. No faster than DISPATCH_RATE: tests/long/test_low_rate.py."""

import pytest

from sandbox.simulator.faults import Faults
from tests.e2e.conftest import StartSystem

TAKES = 50


@pytest.mark.timeout(600)
@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_a_provider_that_takes_fifty_a_second_gets_nearly_so_many(start_system: StartSystem, broker: str) -> None:
    """It answers 429 to all others; nothing fails because of that, and few are tried in vain."""
    count, settled, measured = 1_450, 20.0, 7.0
    system = start_system(
        broker,
        RETRY_LADDER="1s,4s",  # the first rungs of the usual one, thirty times faster
        RETRY_ATTEMPTS="10",
        PROVIDER_TIMEOUT="10",
    )
    system.fill(count)
    system.simulator.set_faults(Faults(latency_ms=100, jitter_ms=100, takes_per_second=TAKES, retry_after=1))
    mailing_id = system.mail()
    system.until_sent(mailing_id, count, within=80)
    accepted = sorted(one.first_at for one in system.simulator.accepted().values())
    assert len(accepted) == count
    begin = accepted[0] + settled
    within = sum(begin <= at < begin + measured for at in accepted)
    refused = system.simulator.summary().faults["rate_limited"]
    print(f"{within / measured:.1f} a second after {settled:.0f} s, {refused} refusals")
    assert within / measured >= 0.85 * TAKES
    assert refused <= 0.1 * count
