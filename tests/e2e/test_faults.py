"""The provider does everything wrong at once, and nobody loses a message or gets it twice."""

from collections import Counter

from sandbox.simulator.faults import DRAWN, Fault, Faults
from sandbox.simulator.outage import Mode
from shared.domain.message import Error, MessageState
from tests.e2e.conftest import StartSystem
from tests.e2e.system import is_over, with_status

CLIENTS = 3_000
REFUSED = 100  # messages whose id is a multiple of it are refused for good
OUTAGES = (Mode.REFUSE, Mode.UNAVAILABLE, Mode.HANG)

UNSEEN = {Error.LEASE_LOST, Error.RESTORED, Error.PROVIDER_DOWN, Error.UNPAID, Error.WRONG_ADDRESS}
"""Errors that none of this leads to."""

FAULTS = Faults(
    rates={
        Fault.SERVER_ERROR: 0.03,
        Fault.RATE_LIMITED: 0.02,
        Fault.NOT_JSON: 0.01,
        Fault.WRONG_CODE: 0.01,
        Fault.TRUNCATED: 0.01,
        Fault.ENDLESS: 0.005,
        Fault.RESET: 0.02,
        Fault.HANG: 0.01,
        Fault.ACCEPT_RESET: 0.02,
        Fault.ACCEPT_HANG: 0.01,
        Fault.OTHER_ID: 0.01,
        Fault.CONTRADICTION: 0.01,
        Fault.NO_CODE: 0.01,
        Fault.CREATED: 0.01,
        Fault.UNAUTHORIZED: 0.001,
        Fault.REDIRECT: 0.001,
    },
    latency_ms=20,
    jitter_ms=80,
    max_faults_per_id=2,
    refuse_ids_modulo=REFUSED,
)


def test_every_fault_at_once(start_system: StartSystem, broker: str) -> None:
    system = start_system(broker, "--seed", "1", PROVIDER_TIMEOUT="1.5", DISPATCH_CONCURRENCY="64")
    system.fill(CLIENTS)
    system.simulator.set_faults(FAULTS)
    mailing_id = system.mail()
    for number, outage in enumerate(OUTAGES, start=1):
        system.until_sent(mailing_id, number * CLIENTS // (len(OUTAGES) + 1), within=60)
        system.simulator.outage(outage, seconds=0.7)
    figures = system.until_figures(mailing_id, is_over, "every message in a final state", within=60)

    messages = system.until_over(mailing_id)
    assert figures["audience"] == CLIENTS
    refused = {message_id for message_id in messages if message_id % REFUSED == 0}
    # Refused after a call whose answer was lost: it may have been delivered by that one.
    unknown = with_status(messages, MessageState.UNKNOWN)
    assert with_status(messages, MessageState.FAILED) == refused - unknown
    assert unknown < refused
    assert all(messages[message_id]["attempts"] > 1 for message_id in unknown)
    assert with_status(messages, MessageState.SENT) == messages.keys() - refused

    summary = system.simulator.summary()
    assert summary.faults.keys() == {Fault.NONE, *DRAWN, "outage"}
    assert summary.accepted == CLIENTS - len(refused)
    assert summary.resent == 0, "a message came again although the answer had arrived"
    assert summary.doubled, "answers that get lost lead to repeats, or this shows nothing"

    # Every call is counted. In the outage some reached nobody.
    received = Counter({message_id: one.count for message_id, one in system.simulator.received().items()})
    calls = Counter({message_id: message["calls"] for message_id, message in messages.items()})
    errors = figures["errors"]
    assert errors.keys() == set(Error) - UNSEEN
    assert 0 < calls.total() - received.total() <= errors["unreachable"] + errors["connection_lost"]
    assert not received - calls, "came more often than the service counts"
    assert all(message["attempts"] <= message["calls"] for message in messages.values())
