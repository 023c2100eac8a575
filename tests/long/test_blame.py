"""Providers that serve nobody, with as many messages, dispatchers and seconds as it takes to see what that costs.

What a call is blamed on is held in tests/unit/sending/test_blame_laws.py, and with one dispatcher in
tests/integration/pipeline/test_blame.py.
"""

import time

import pytest

from sandbox.simulator.faults import Faults
from sandbox.simulator.outage import Mode
from shared.domain.message import Error
from shared.domain.standing import MOST_OPEN, REFUSALS
from tests.long.conftest import RunSystem

DISPATCHERS = 4
SETTINGS = {"RETRY_LADDER": "1s,2s", "RETRY_ATTEMPTS": "4"}

LONG_ENOUGH = 8.0
"""Seconds in which every message had failed when such an answer was taken for a refusal."""

OUTAGE = 120.0
THREE_DAYS = 3 * 86_400


@pytest.mark.parametrize(
    ("status", "reason", "count"), [(404, Error.WRONG_ADDRESS, 20_000), (402, Error.UNPAID, 3_000)]
)
def test_what_is_ours_to_mend_costs_nothing(
    run_system: RunSystem, database_url: str, rabbitmq_url: str, status: int, reason: Error, count: int
) -> None:
    """A wrong path in PROVIDER_URL, an account that is empty. Before: 20 000 and 3 000 failed, and no alarm."""
    system = run_system(database_url, rabbitmq_url, dispatchers=DISPATCHERS, **SETTINGS)
    system.simulator.set_faults(Faults(status=status))
    system.fill(count)
    mailing_id = system.mail(lasts=3600)
    system.until(lambda: system.figures(mailing_id)["audience"] == count, "it is launched", within=60)
    for name in system.dispatchers:
        system.until(lambda: system.metric(name, "dispatcher_breaker_open", reason=reason), "it is open", within=60)  # noqa: B023
    time.sleep(LONG_ENOUGH)
    figures = system.figures(mailing_id)
    assert figures["failed"] == figures["sent"] == 0
    requests = system.simulator.summary().requests
    print(f"{requests} requests")
    assert requests < 40 * DISPATCHERS, "the breakers let through no more than probes"
    system.simulator.set_faults(Faults())
    system.until_sent(mailing_id, count, within=300)
    attempts = {message["attempts"] for message in system.messages(mailing_id).values()}
    assert attempts == {1}


def test_a_closed_account_costs_a_mailing_of_twenty_thousand_seventy(
    run_system: RunSystem, database_url: str, rabbitmq_url: str
) -> None:
    """400 for everything. Before: all of them failed."""
    count = 20_000
    system = run_system(database_url, rabbitmq_url, dispatchers=DISPATCHERS, **SETTINGS)
    system.expect("mailing_halted")
    system.simulator.set_faults(Faults(latency_ms=50, status=400))
    system.fill(count)
    mailing_id = system.mail(lasts=3600)
    halted = system.until(
        lambda: (found := system.api.mailing(mailing_id))["state"] == "paused" and found, "it is halted", within=60
    )
    assert halted["paused_because"] == "halted"
    assert "simulated" in halted["provider_words"]
    system.until(lambda: not system.figures(mailing_id)["sending"], "the last calls are over")
    time.sleep(3)
    failed = system.figures(mailing_id)["failed"]
    print(f"{failed} failed")
    assert REFUSALS <= failed <= REFUSALS + MOST_OPEN
    system.api.cancel(mailing_id)


def test_an_outage_of_two_minutes_costs_nobody_their_message(
    run_system: RunSystem, database_url: str, rabbitmq_url: str
) -> None:
    """The ladder with its four attempts lasts for five seconds. Before: 47 of 60 failed."""
    count = 60
    system = run_system(database_url, rabbitmq_url, dispatchers=DISPATCHERS, **SETTINGS)
    system.fill(count)
    system.simulator.outage(Mode.UNAVAILABLE, seconds=OUTAGE)
    mailing_id = system.mail(lasts=THREE_DAYS)
    system.until(lambda: system.simulator.summary().outage is None, "the outage is over", within=OUTAGE + 30)
    system.until_sent(mailing_id, count, within=60)
    assert {message["attempts"] for message in system.messages(mailing_id).values()} == {1}
    assert system.simulator.summary().doubled == 0
