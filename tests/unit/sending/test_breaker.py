"""The circuit breaker: a table of what opens and closes it, and laws that hold whatever the provider does."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.sending.breaker import FIRST_PAUSE, LONGEST_PAUSE, THRESHOLD, Breaker
from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind

REFUSED = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
UNAUTHORIZED = Outcome(OutcomeKind.UNAUTHORIZED, Error.UNAUTHORIZED)
DOWN = Outcome(OutcomeKind.TRANSIENT, Error.UNREACHABLE)
EMPTY = Outcome(OutcomeKind.UNAUTHORIZED, Error.UNPAID)
BUSY = Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED)
NONSENSE = Outcome(OutcomeKind.AMBIGUOUS, Error.BAD_ANSWER)
SILENT = Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT)
LOST = Outcome(OutcomeKind.AMBIGUOUS, Error.CONNECTION_LOST)

SIGNS_OF_LIFE = [ACCEPTED, REFUSED]
FAILURES = [DOWN, BUSY, NONSENSE, SILENT, LOST]


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([], None),
        ([DOWN] * (THRESHOLD - 1), None),
        ([DOWN] * THRESHOLD, Error.UNREACHABLE),
        ([BUSY] * THRESHOLD, Error.RATE_LIMITED),
        ([NONSENSE] * THRESHOLD, Error.BAD_ANSWER),
        ([SILENT] * THRESHOLD, Error.TIMED_OUT),
        ([SILENT] * (THRESHOLD - 1) + [LOST], Error.CONNECTION_LOST),
        ([DOWN] * (THRESHOLD - 1) + [ACCEPTED] + [DOWN] * (THRESHOLD - 1), None),
        ([DOWN] * (THRESHOLD - 1) + [REFUSED] + [DOWN] * (THRESHOLD - 1), None),
        ([UNAUTHORIZED], Error.UNAUTHORIZED),
        ([ACCEPTED, UNAUTHORIZED], Error.UNAUTHORIZED),
        ([EMPTY], Error.UNPAID),
        ([DOWN] * THRESHOLD + [ACCEPTED], None),
        ([UNAUTHORIZED, REFUSED], None),
        ([DOWN] * THRESHOLD + [ACCEPTED] + [DOWN] * (THRESHOLD - 1), None),
    ],
)
def test_what_opens_it(outcomes: list[Outcome], reason: Error | None) -> None:
    breaker = Breaker()
    for outcome in outcomes:
        breaker.observe(outcome, started=0.0, now=0.0)
    assert breaker.reason == reason
    assert breaker.is_open == (reason is not None)
    assert (breaker.pause(0.0) > 0) == breaker.is_open


@pytest.mark.parametrize(
    ("outcomes", "outages"),
    [
        ([DOWN] * THRESHOLD, 0),  # it is not over
        ([DOWN] * THRESHOLD + [ACCEPTED], 1),
        ([DOWN] * THRESHOLD + [REFUSED], 1),
        ([DOWN] * (THRESHOLD - 1) + [ACCEPTED], 0),
        # A single answer of that kind may be about one message: it is one for all when the probe gets it as well.
        ([UNAUTHORIZED, ACCEPTED], 0),
        ([DOWN, EMPTY, ACCEPTED], 0),
        ([UNAUTHORIZED, UNAUTHORIZED, ACCEPTED], 1),
        ([UNAUTHORIZED, DOWN, REFUSED, EMPTY, ACCEPTED], 1),
        (([DOWN] * THRESHOLD + [ACCEPTED]) * 3, 3),
    ],
)
def test_how_many_outages_are_over(outcomes: list[Outcome], outages: int) -> None:
    breaker, now = Breaker(), 0.0
    for outcome in outcomes:
        now += LONGEST_PAUSE
        breaker.observe(outcome, started=now, now=now)
    assert breaker.outages == outages


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.observe(DOWN, started=now, now=now)
    return breaker


def test_closed_it_limits_nothing() -> None:
    assert Breaker().allowed(now=0.0, calls_open=10_000) is None


def test_open_it_allows_nothing_before_its_pause_is_over() -> None:
    breaker = opened()
    assert breaker.allowed(FIRST_PAUSE - 0.01, calls_open=0) == 0
    assert breaker.allowed(FIRST_PAUSE, calls_open=0) == 1
    assert breaker.allowed(FIRST_PAUSE, calls_open=1) == 0


def test_the_pause_doubles_with_every_probe_that_fails() -> None:
    breaker = opened()
    now, pauses = 0.0, []
    for _ in range(8):
        pauses.append(breaker.pause(now))
        now += pauses[-1]
        breaker.observe(DOWN, started=now, now=now)
    assert pauses == [1, 2, 3, 3, 3, 3, 3, 3]
    assert (FIRST_PAUSE, LONGEST_PAUSE) == (1, 3)


def test_once_closed_it_begins_with_a_short_pause_again() -> None:
    breaker = opened()
    breaker.observe(DOWN, started=1.0, now=1.0)
    assert breaker.pause(1.0) == 2 * FIRST_PAUSE
    breaker.observe(ACCEPTED, started=3.0, now=3.0)
    breaker.observe(UNAUTHORIZED, started=3.0, now=3.0)
    assert breaker.pause(3.0) == FIRST_PAUSE


def test_stragglers_do_not_extend_the_pause() -> None:
    """Calls that were on the wire when it opened end up to a time-out later: they say nothing new."""
    breaker = opened(now=10.0)
    for now in (10.0, 10.5, 11.0, 15.0, 20.0):
        breaker.observe(SILENT, started=9.9, now=now)
    assert breaker.pause(10.0) == FIRST_PAUSE
    assert breaker.pause(20.0) == 0


def test_time_outs_that_are_older_than_the_last_sign_of_life_count_for_nothing() -> None:
    """Where some calls hang they soon hold most of the slots, and time out together."""
    breaker = Breaker()
    breaker.observe(ACCEPTED, started=5.0, now=5.1)
    for _ in range(THRESHOLD):
        breaker.observe(SILENT, started=5.0, now=15.0)
    assert not breaker.is_open
    for _ in range(THRESHOLD):
        breaker.observe(SILENT, started=5.2, now=15.2)
    assert breaker.is_open


@dataclass
class Call:
    started: float


@given(st.data())
def test_laws(data: st.DataObject) -> None:
    """A sender that obeys it, a provider that does as it likes."""
    breaker, now = Breaker(), 0.0
    calls: list[Call] = []
    alive, row = 0.0, 0  # the last sign of life, and failures since then
    for _ in range(data.draw(st.integers(0, 200))):
        now += data.draw(st.sampled_from([0.0, 0.01, 0.4, 1.0, 31.0]))
        allowed = breaker.allowed(now, len(calls))
        if breaker.is_open:
            assert allowed in (0, 1)
            assert not (allowed and breaker.pause(now))
            # Whatever happened, the next probe is never further away than the longest pause.
            assert breaker.pause(now) <= LONGEST_PAUSE
            if not breaker.pause(now) and not calls:
                assert allowed == 1
        else:
            assert allowed is None
        if allowed != 0 and data.draw(st.booleans()):
            was_open = breaker.is_open
            calls.append(Call(now))
            assert not was_open or len(calls) == 1  # one probe at a time
            continue
        if not calls:
            continue
        call = calls.pop(data.draw(st.integers(0, len(calls) - 1)))
        outcome = data.draw(st.sampled_from([*SIGNS_OF_LIFE, *FAILURES, *FAILURES, *FAILURES, UNAUTHORIZED]))
        was_open, pause = breaker.is_open, breaker.pause(now)
        breaker.observe(outcome, started=call.started, now=now)
        if outcome in SIGNS_OF_LIFE:
            alive, row = now, 0
            assert not breaker.is_open
            continue
        is_news = call.started >= alive
        row += is_news
        assert breaker.is_open == (was_open or (is_news and (outcome is UNAUTHORIZED or row >= THRESHOLD)))
        if was_open and pause:  # it was no probe
            assert breaker.pause(now) == pause
