"""As fast as the provider takes it, and no faster than DISPATCH_RATE: nobody waits behind what is held up."""

import time
from datetime import timedelta

import pytest

from sandbox.simulator.faults import Faults
from shared import clock
from tests.e2e.conftest import StartSystem

TAKES = 50
RATE = 20
WATCHED = 3.0
"""Seconds after which nothing comes any more, if nothing came before."""


@pytest.mark.timeout(240)
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


@pytest.mark.timeout(240)
@pytest.mark.parametrize("dispatchers", [1, 10])
@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_a_low_rate_is_kept_and_delays_no_pause_cancel_or_end(
    start_system: StartSystem, broker: str, dispatchers: int
) -> None:
    """However many dispatchers share it: none has messages that may not be sent yet."""
    system = start_system(broker, dispatchers=dispatchers, DISPATCH_RATE=str(RATE))
    system.fill(1_000)

    def end(mailing_id: int) -> float:
        ends_at = clock.now() + timedelta(seconds=1)
        system.api.change_mailing(mailing_id, ends_at=ends_at)
        return ends_at.timestamp()

    def pause(mailing_id: int) -> float:
        system.api.pause(mailing_id)
        return clock.now().timestamp()

    def cancel(mailing_id: int) -> float:
        system.api.cancel(mailing_id)
        return clock.now().timestamp()

    for act, after in ((pause, 7 * RATE), (cancel, 2 * RATE), (end, 2 * RATE)):
        mailing_id, before = system.mail(), system.simulator.summary().received
        system.until(lambda: system.simulator.summary().received > before + after, "it is under way")  # noqa: B023
        acted_at = act(mailing_id)
        time.sleep(WATCHED)
        last = system.simulator.summary().last_received_at
        assert last is not None
        print(f"{act.__name__}: the last one {last - acted_at:.2f} s after it")
        assert last < acted_at + 1.0, act.__name__

    times = sorted(one.first_at for one in system.simulator.received().values())[: 7 * RATE]
    rate = (len(times) - RATE) / (times[-1] - times[RATE - 1])
    print(f"{rate:.2f} a second")
    assert rate == pytest.approx(RATE, rel=0.05)
