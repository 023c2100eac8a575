"""The provider is down for longer than the ladder, flaps, hangs, answers late, refuses the token or cannot be found.

What a single answer means is held in tests/integration/sending/test_sender.py, all of them at once in
tests/e2e/test_faults.py.
"""

import itertools
from collections.abc import Iterator

import pytest

from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared.domain.message import Error, MessageState
from shared.domain.standing import MOST_OPEN, REFUSALS
from tests.e2e.conftest import place, running
from tests.e2e.system import System
from tests.faults.flight import Flight, lasting, steady, watch_final_states
from tests.faults.stage import HEALTHY_WITHIN

CALLS = 16
PER_SECOND = 80
"""A dispatcher's, of which there are two."""

TIMEOUT = 1.0
LADDER = (1, 2)
ATTEMPTS = 4
WHOLE_LADDER = 1 + 2 + 2
"""Seconds after which a message has used up its attempts, were every one of them made."""


@pytest.fixture(scope="module")
def shared_system(request: pytest.FixtureRequest) -> Iterator[System]:
    with (
        place(request, "table") as where,
        running(
            where,
            PROVIDER_TIMEOUT=str(TIMEOUT),
            RETRY_LADDER=",".join(f"{rung}s" for rung in LADDER),
            RETRY_ATTEMPTS=str(ATTEMPTS),
            DISPATCH_CONCURRENCY=str(CALLS),
        ) as system,
    ):
        watch_final_states(where.database_url)
        yield system


@pytest.fixture
def system(shared_system: System) -> System:
    """Its provider is well and takes its time, and the dispatchers know that."""
    shared_system.simulator.set_faults(steady(PER_SECOND, CALLS))

    def closed() -> bool:
        Flight(shared_system, 10).land("all is well")
        return not sum(shared_system.metric(name, "dispatcher_breaker_open") for name in shared_system.dispatchers)

    shared_system.until(closed, "the breakers are closed")
    return shared_system


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.HANG])
def test_down_for_longer_than_the_whole_ladder(system: System, mode: Mode) -> None:
    """The breaker keeps the messages from using up their attempts."""
    flight = Flight(system, 600)
    with flight.user() as user:
        flight.until_under_way()
        system.simulator.outage(mode)
        with lasting(WHOLE_LADDER + 1):
            pass
        system.simulator.end_outage()
        flight.recover(within=TIMEOUT + HEALTHY_WITHIN)
    landed = flight.land(f"provider: down ({mode})")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert sum(one.count for one in landed.received.values()) < 2 * len(landed.messages), "it was asked all the time"
    user.assert_served()


def test_flapping(system: System) -> None:
    flight = Flight(system, 600)
    with flight.user() as user:
        flight.until_under_way()
        for mode, _ in zip(itertools.cycle(Mode), range(6), strict=False):
            system.simulator.outage(mode, seconds=0.5)
            with lasting(1.0):
                pass
        flight.recover()
    landed = flight.land("provider: flapping")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    user.assert_served()


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.ACCEPT_HANG])
def test_no_answer_ever(system: System, fault: Fault) -> None:
    """What may have arrived is `unknown`; of the others it is known that they did not. Nothing is `failed`."""
    system.simulator.set_faults(Faults({fault: 1.0}))
    flight = Flight(system, 300, lasts=6)
    with flight.user() as user:
        landed = flight.land(f"provider: {fault}")
    assert landed.in_state(MessageState.UNKNOWN) == landed.received.keys()
    assert len(landed.received) >= 2 * CALLS
    assert landed.in_state(MessageState.EXPIRED) == landed.messages.keys() - landed.received.keys()
    user.assert_served()


def test_attempts_used_up_without_an_answer(system: System) -> None:
    """So few that the breaker stays out of it."""
    system.simulator.set_faults(Faults({Fault.HANG: 1.0}))
    landed = Flight(system, 3).land("provider: time-outs to the end")
    assert landed.in_state(MessageState.UNKNOWN) == landed.messages.keys()
    assert {message["attempts"] for message in landed.messages.values()} == {ATTEMPTS}
    assert {one.count for one in landed.received.values()} == {ATTEMPTS}


def test_answers_that_come_too_late(system: System) -> None:
    """They are not taken for those of other messages, and every repeat is counted."""
    before = _repeats(system)
    flight = Flight(system, 600)
    with flight.user() as user:
        flight.until_under_way()
        system.simulator.set_faults(Faults(latency_ms=1000 * (TIMEOUT + 0.3)))
        with lasting(3):
            pass
        system.simulator.set_faults(steady(PER_SECOND, CALLS))
        flight.recover(within=TIMEOUT + HEALTHY_WITHIN)
    landed = flight.land("provider: late answers")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert len(landed.repeated) >= CALLS
    assert sum(one.count - 1 for one in landed.received.values()) == landed.figures["errors"][Error.TIMED_OUT]
    assert sum(one.count - 1 for one in landed.received.values()) == _repeats(system) - before
    user.assert_served()


def _repeats(system: System) -> float:
    return sum(system.metric(name, "dispatcher_messages_repeated_total") for name in system.dispatchers)


def test_a_token_that_is_refused_for_a_while(system: System) -> None:
    """Nobody's attempt is spent."""
    flight = Flight(system, 300)
    with flight.user() as user:
        flight.until_under_way()
        system.simulator.set_faults(Faults({Fault.UNAUTHORIZED: 1.0}))
        with lasting(WHOLE_LADDER + 1):
            pass
        system.simulator.set_faults(steady(PER_SECOND, CALLS))
        flight.recover()
    landed = flight.land("provider: token refused")
    assert {(one["status"], one["attempts"]) for one in landed.messages.values()} == {(MessageState.SENT, 1)}
    user.assert_served()


def test_an_outage_of_a_mailings_whole_life_but_its_end(system: System) -> None:
    """60 messages, 503 for longer than the ladder with its attempts lasts: 47 failed, when every failure was spent."""
    system.simulator.outage(Mode.UNAVAILABLE)
    flight = Flight(system, 60)
    with flight.user() as user:
        with lasting(2 * WHOLE_LADDER):
            pass
        system.simulator.end_outage()
        flight.recover()
    landed = flight.land("provider: 503 from the start")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    # The first calls of the outage are spent if others were served right before it: nobody could know better.
    assert {message["attempts"] for message in landed.messages.values()} <= {1, 2}
    user.assert_served()


@pytest.mark.parametrize("fault", [Fault.CREATED, Fault.NO_CODE])
def test_a_provider_that_accepts_and_does_not_say_so(system: System, fault: Fault) -> None:
    """So few that the breaker stays out of it. Who may have got it is told, and nobody gets it without end."""
    system.simulator.set_faults(Faults({fault: 1.0}))
    landed = Flight(system, 4).land(f"provider: {fault}")
    assert landed.in_state(MessageState.UNKNOWN) == landed.messages.keys()
    assert {one.count for one in landed.received.values()} == {ATTEMPTS}
    assert landed.figures["errors"] == {Error.BAD_ANSWER: 4 * ATTEMPTS}
    assert landed.figures["repeated"] == 4 * (ATTEMPTS - 1)


def test_a_wrong_path_until_somebody_corrects_it(system: System) -> None:
    """404 for everything: all messages had failed within seconds, without an alarm."""
    system.simulator.set_faults(Faults(status=404))
    flight = Flight(system, 600)
    with flight.user() as user:
        is_open = {"reason": Error.WRONG_ADDRESS}
        for name in system.dispatchers:
            system.until(lambda: system.metric(name, "dispatcher_breaker_open", **is_open), "the breaker opens")  # noqa: B023
        with lasting(WHOLE_LADDER):
            pass
        assert flight.system.figures(flight.mailing_id)["failed"] == 0
        system.simulator.set_faults(steady(PER_SECOND, CALLS))
        flight.recover()
    landed = flight.land("provider: 404")
    assert {(one["status"], one["attempts"]) for one in landed.messages.values()} == {(MessageState.SENT, 1)}
    user.assert_served()


def test_a_closed_account_pauses_the_mailing(system: System) -> None:
    """Two dispatchers, 400 for everything."""
    system.expect("mailing_halted")
    system.simulator.set_faults(Faults(latency_ms=20, status=400))
    flight = Flight(system, 300)
    halted = system.until(
        lambda: (found := system.api.mailing(flight.mailing_id))["state"] == "paused" and found, "it is halted"
    )
    assert halted["paused_because"] == "halted"
    assert "simulated" in halted["provider_words"]
    system.until(lambda: not system.figures(flight.mailing_id)["sending"], "the last calls are over")
    failed = system.figures(flight.mailing_id)["failed"]
    assert REFUSALS <= failed <= REFUSALS + MOST_OPEN
    system.simulator.set_faults(steady(PER_SECOND, CALLS))
    system.api.resume(flight.mailing_id)
    landed = flight.land("provider: account closed")
    assert len(landed.in_state(MessageState.SENT)) == 300 - failed
    assert len(landed.in_state(MessageState.FAILED)) == failed


def test_a_provider_that_asks_for_a_day(system: System) -> None:
    """It gets the longest rung of the ladder, and no more."""
    system.simulator.set_faults(Faults({Fault.RATE_LIMITED: 1.0}, retry_after=86_400, max_faults_per_id=1))
    landed = Flight(system, 15).land("provider: Retry-After of a day")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert {(message["calls"], message["attempts"]) for message in landed.messages.values()} == {(2, 1)}
    assert {LADDER[-1] <= one.last_at - one.first_at for one in landed.received.values()} == {True}


def test_a_name_that_nobody_knows(system: System) -> None:
    """Until somebody corrects it. Nothing is spent on it but the attempts that opened the breaker, and the probes."""
    names, right = system.dispatchers, system.env["PROVIDER_URL"]
    for name in names:
        assert system.processes.stop(name) == 0
    system.env["PROVIDER_URL"] = "http://provider.invalid"
    for name in names:
        system.start_dispatcher(name)
    flight = Flight(system, 300)
    with flight.user() as user:
        for name in names:
            is_open = {"reason": Error.UNREACHABLE}
            system.until(lambda: system.metric(name, "dispatcher_breaker_open", **is_open), "the breaker opens")  # noqa: B023
        assert flight.system.figures(flight.mailing_id)["errors"].keys() == {Error.UNREACHABLE}
        for name in names:
            assert system.processes.stop(name) == 0
        system.env["PROVIDER_URL"] = right
        for name in names:
            system.start_dispatcher(name)
    landed = flight.land("provider: DNS")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert not landed.repeated
    user.assert_served()
