"""Processes, and the broker, stop and die in mid-mailing; nobody loses a message or gets it twice without need."""

import json
import signal
from datetime import datetime

import pytest

from sandbox.simulator.faults import Faults
from shared import clock
from shared.domain.message import MessageState
from tests.e2e.conftest import StartSystem
from tests.e2e.system import with_status
from tests.support.rabbitmq import Private

CLIENTS = 2_000
LATENCY = 0.1
STEADY = Faults(latency_ms=LATENCY * 1000)
SLOW = Faults(latency_ms=1000)
"""So that a mailing outlives what is done meanwhile, on a busy machine as well."""
CALLS = 32
"""A dispatcher's, at a time: two of them send 640 messages per second."""


def test_dispatchers_are_replaced_one_by_one(start_system: StartSystem, broker: str) -> None:
    system = start_system(broker, DISPATCH_CONCURRENCY=str(CALLS))
    system.fill(CLIENTS)
    system.simulator.set_faults(STEADY)
    mailing_id = system.mail()
    for number, name in enumerate(system.dispatchers, start=1):
        system.until_sent(mailing_id, number * CLIENTS // 4)
        system.simulator.set_faults(SLOW)
        assert system.processes.stop(name) == 0
        system.start_dispatcher(name)
        system.simulator.set_faults(STEADY)
    assert system.figures(mailing_id)["sent"] < CLIENTS, "all was over before the last one was replaced"

    messages = system.until_over(mailing_id)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    received = system.received(mailing_id)
    assert len(received) == CLIENTS
    assert {one.count for one in received.values()} == {1}
    assert {message["attempts"] for message in messages.values()} == {1}


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_a_dispatcher_is_killed(start_system: StartSystem, broker: str) -> None:
    """The leader. The other one takes over, and sends again only what was on its way just then."""
    constants = json.dumps({"dispatcher_service.pipeline.worker.LEASE_MARGIN": 10.0})
    system = start_system(
        broker,
        module="tests.support.faulty_dispatcher",
        DISPATCH_CONCURRENCY=str(CALLS),
        PROVIDER_TIMEOUT="0.5",
        CONSTANTS=constants,
    )
    system.fill(CLIENTS)
    system.simulator.set_faults(STEADY)
    mailing_id = system.mail()
    system.until_sent(mailing_id, CLIENTS // 4)
    (leader,) = (name for name in system.dispatchers if system.metric(name, "feeder_leader"))
    killed_at = clock.now().timestamp()
    assert system.processes.kill(leader) == -signal.SIGKILL

    system.until_figures(
        mailing_id,
        lambda figures: figures["sent"] + figures["sending"] == CLIENTS,
        "all sent but what the dead one had",
    )
    messages = system.until_over(mailing_id, within=40)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    received = system.received(mailing_id)
    again = {message_id: one for message_id, one in received.items() if one.count > 1}
    assert 0 < len(again) <= CALLS + RECORDED_TOGETHER
    assert {one.count for one in again.values()} == {2}
    for one in again.values():
        assert killed_at - LATENCY - RECORDED_WITHIN < one.first_at < killed_at + 0.1
        assert one.last_at - killed_at > 7, "not before the lease had run out"
    assert with_attempts(messages, 2) >= again.keys()
    assert system.figures(mailing_id)["errors"] == {"lease_lost": len(with_attempts(messages, 2))}


RECORDED_TOGETHER = 250
RECORDED_WITHIN = 0.5
"""Answers that were not written down yet: how many at the most, and for how many seconds on a machine that is busy."""


def with_attempts(messages: dict[int, dict[str, int]], count: int) -> set[int]:
    return {message_id for message_id, message in messages.items() if message["attempts"] == count}


def test_a_mailing_starts_by_itself(start_system: StartSystem, broker: str) -> None:
    """At its time, with no further action from anyone: the API is not even running."""
    system = start_system(broker, dispatchers=1)
    system.fill(100)
    mailing_id = system.mail(starts=4)
    mailing = system.api.mailing(mailing_id)
    assert (mailing["state"], mailing["statistics"]["audience"]) == ("scheduled", 0)
    starts_at = datetime.fromisoformat(mailing["starts_at"]).timestamp()
    system.api.close()
    assert system.processes.kill("api") == -signal.SIGKILL
    assert clock.now().timestamp() < starts_at, "all this took too long"

    system.until(lambda: system.simulator.summary().accepted == 100, "100 accepted")
    assert 0 <= min(one.first_at for one in system.simulator.received().values()) - starts_at < 3

    system.start_api()
    messages = system.until_over(mailing_id)
    assert with_status(messages, MessageState.SENT) == messages.keys()
    assert system.api.mailing(mailing_id)["state"] == "finished"


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_the_broker_goes_and_comes_back(start_system: StartSystem, broker: str, private_rabbitmq: Private) -> None:
    """Mailings are taken meanwhile, and go out afterwards; the one that was running loses nothing."""
    system = start_system(broker, DISPATCH_CONCURRENCY=str(CALLS))
    system.fill(CLIENTS, tag="running")
    system.fill(100, tag="new")
    system.simulator.set_faults(STEADY)
    first = system.mail(tags=["running"])
    system.until_sent(first, CLIENTS // 4)
    try:
        private_rabbitmq.stop()
        system.until(
            lambda: system.metric("dispatcher-1", "dispatcher_broker_reconnects_total"), "the broker is missed"
        )
        assert system.api.ready(), "a mailing can be created all the same"
        new = []
        for _ in range(5):
            asked_at = clock.ticks()
            new.append(system.mail(tags=["new"]))
            assert clock.ticks() - asked_at < 5, "creating a mailing waits for the broker"
        assert system.figures(first)["sent"] < CLIENTS
    finally:
        private_rabbitmq.reset()
    for mailing_id in (first, *new):
        messages = system.until_over(mailing_id, within=60)
        assert with_status(messages, MessageState.SENT) == messages.keys()
    received = system.simulator.received()
    assert len(received) == CLIENTS + 5 * 100
    assert {one.count for one in received.values()} == {1}
    system.until(system.api.ready, "the API is ready")
