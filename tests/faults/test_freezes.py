"""A dispatcher is frozen for longer than its leases last, and wakes up: it sends nothing that is no longer its own, and
overwrites nothing."""

import json
import random

import pytest

from notification_client import Json
from sandbox.simulator.faults import Faults
from shared.domain.message import MessageState
from tests.e2e.conftest import StartSystem
from tests.e2e.system import is_over, with_status
from tests.faults.stage import DISPATCHER, Stage
from tests.faults.witness import Witness
from tests.support.waiting import patience

CLIENTS = 600
MINUTE = 60
CALLS = 32
LATENCY = 0.3
STEADY = Faults(latency_ms=1000 * LATENCY)
SHORT = {
    "PROVIDER_TIMEOUT": "1.5",
    "DISPATCH_CONCURRENCY": str(CALLS),
    "CONSTANTS": json.dumps({
        "dispatcher_service.pipeline.worker.LEASE_MARGIN": 4.0,
        "dispatcher_service.leading.chores.rescue_leases.RESCUE_AFTER": 0.0,
        "dispatcher_service.leading.lead.SILENCE": 5.0,
        "dispatcher_service.leading.cursor.RESTART_EVERY": 3.0,
    }),
}  # fmt: skip
"""A lease of 5.5 s; a leader may be silent for 5 s. What is published anew goes in part to the one that is frozen, as
far as its prefetch goes, and is published again after 3 s instead of 30."""


@pytest.mark.timeout(600)
def test_a_leader_is_frozen_for_longer_than_its_leases(start_system: StartSystem, chance: random.Random) -> None:
    """In the middle of sending. The other dispatcher takes the lead, and what the frozen one had."""
    system = start_system("rabbitmq", module=DISPATCHER, **SHORT)
    system.fill(CLIENTS)
    system.simulator.set_faults(STEADY)
    with Witness(system.database_url) as witness:
        _freeze_and_wake(Stage(system, witness, chance))


def _freeze_and_wake(stage: Stage) -> None:
    system, witness, name = stage.system, stage.witness, stage.leader()
    mailing_id = system.mail()
    system.until_sent(mailing_id, CLIENTS // 6)
    system.until(lambda: system.metric(name, "dispatcher_calls_open") > CALLS / 2, f"{name} is in the middle of it")
    with stage.frozen(name):
        system.until(witness.lost_leases, "its leases run out", within=patience(30))
        # It also holds jobs that it has received, and goes on receiving as far as its prefetch goes.
        figures = system.until_figures(
            mailing_id, lambda figures: _is_over(witness, figures), "all sent without it", within=patience(30)
        )
        received = system.received(mailing_id)
        assert stage.leader() != name

    system.until(lambda: system.metric(name, "dispatcher_results_late_total"), "its results come too late")
    claimed = system.metric(name, "dispatcher_messages_claimed_total")
    system.until_over(system.mail(), within=patience(30))
    assert system.metric(name, "dispatcher_messages_claimed_total") > claimed, "it does not work any more"
    assert stage.leader() != name
    messages = system.until_over(mailing_id)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    assert system.received(mailing_id) == received, "it sent what was no longer its own"
    assert system.figures(mailing_id)["errors"] == figures["errors"]

    accounts, lost = stage.accounts(), witness.lost_leases()
    assert not accounts.lost
    assert not accounts.unexplained
    assert {lease.pid for lease in lost} == {stage.pid(name)}
    repeated = {message_id for message_id, one in received.items() if one.count > 1}
    assert repeated <= {lease.message_id for lease in lost}
    frozen_at = stage.faults[0].shown_at
    begun_at = [received[message_id].first_at for message_id in repeated]
    assert sum(frozen_at - LATENCY < at <= frozen_at for at in begun_at) <= CALLS  # they were on the wire
    assert all(at > frozen_at - LATENCY - 1 for at in begun_at)  # what was answered before that was recorded


def _is_over(witness: Witness, figures: Json) -> bool:
    witness.pass_time(MINUTE, {MessageState.PENDING})
    return is_over(figures)
