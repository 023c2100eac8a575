"""Whose fault a call is: a table, and what holds while a provider fails, is away, or cannot stand a text."""

import pytest

from dispatcher_service.sending.blame import CALLS, SECONDS, STUCK_AFTER, Blame, Serving, blame
from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind

REFUSED = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
LIMITED = Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED)
DOWN = Outcome(OutcomeKind.TRANSIENT, Error.SERVER_ERROR)
SILENT = Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT)
CLOSED = Outcome(OutcomeKind.UNAUTHORIZED, Error.UNPAID)

MESSAGE, PROVIDER = Blame.MESSAGE, Blame.PROVIDER


@pytest.mark.parametrize(
    ("kind", "while_it_serves", "while_it_does_not"),
    [
        ("accepted", MESSAGE, MESSAGE),
        ("refused", MESSAGE, MESSAGE),
        ("ambiguous", MESSAGE, MESSAGE),  # or nobody would bound how often a person gets it
        ("transient", MESSAGE, PROVIDER),
        ("limited", PROVIDER, PROVIDER),
        ("unauthorized", PROVIDER, PROVIDER),
    ],
)
def test_who_answers_for_a_call(kind: str, while_it_serves: Blame, while_it_does_not: Blame) -> None:
    outcome = Outcome(OutcomeKind(kind))
    assert blame(outcome, serves=True) is while_it_serves
    assert blame(outcome, serves=False) is while_it_does_not


def seen(*calls: tuple[int, Outcome, int], at: float = 0.0) -> Serving:
    """What was seen at one moment: of a mailing, this outcome, so many times."""
    serving = Serving()
    for mailing_id, outcome, times in calls:
        for _ in range(times):
            serving.observe(mailing_id, outcome, at)
    return serving


ONE, OTHER, THIRD = 1, 2, 3


@pytest.mark.parametrize(
    ("calls", "serves"),
    [
        # Nothing was seen.
        ([], False),
        # Of one mailing alone, its own calls are all there is.
        ([(ONE, DOWN, 1)], False),
        ([(ONE, ACCEPTED, 1), (ONE, DOWN, 1)], True),
        ([(ONE, ACCEPTED, 7), (ONE, DOWN, 3)], True),
        ([(ONE, ACCEPTED, 1), (ONE, DOWN, 9)], False),
        ([(ONE, REFUSED, 5), (ONE, DOWN, 5)], True),
        ([(ONE, SILENT, 2), (ONE, ACCEPTED, 1)], False),
        # Others count, and they alone: a mailing is no witness in its own case.
        ([(ONE, DOWN, 50), (OTHER, ACCEPTED, 1)], True),
        ([(ONE, DOWN, 50), (OTHER, REFUSED, 1)], True),
        ([(ONE, ACCEPTED, 50), (OTHER, DOWN, 1)], False),
        ([(ONE, DOWN, 50), (OTHER, ACCEPTED, 2), (THIRD, DOWN, 2)], True),
        ([(ONE, DOWN, 50), (OTHER, ACCEPTED, 2), (THIRD, DOWN, 3)], False),
        # What is not served is not served, whatever it was.
        ([(OTHER, ACCEPTED, 4), (OTHER, LIMITED, 5)], False),
        ([(OTHER, ACCEPTED, 4), (OTHER, CLOSED, 5)], False),
        # The last calls decide.
        ([(OTHER, ACCEPTED, 1000), (OTHER, DOWN, CALLS // 2)], True),
        ([(OTHER, ACCEPTED, 1000), (OTHER, DOWN, CALLS // 2 + 1)], False),
        ([(OTHER, DOWN, 1000), (OTHER, ACCEPTED, CALLS // 2)], True),
    ],
)
def test_whether_the_provider_serves(calls: list[tuple[int, Outcome, int]], serves: bool) -> None:
    assert seen(*calls).serves(ONE, None, now=1.0) is serves


def test_what_is_older_than_half_a_minute_is_forgotten() -> None:
    serving = seen((OTHER, ACCEPTED, CALLS))
    assert serving.serves(ONE, None, now=SECONDS)
    assert not serving.serves(ONE, None, now=SECONDS + 0.1)
    serving.observe(ONE, DOWN, SECONDS + 0.1)
    assert not serving.serves(ONE, None, now=SECONDS + 0.1)


def test_something_must_have_been_served_since_the_messages_previous_call() -> None:
    """Else a short outage would cost every message all its attempts, as long as the calls before it are remembered."""
    serving = seen((OTHER, ACCEPTED, CALLS), at=10.0)
    assert serving.serves(ONE, since=9.0, now=12.0)
    assert not serving.serves(ONE, since=10.0, now=12.0)
    assert not serving.serves(ONE, since=11.0, now=12.0)
    serving.observe(OTHER, REFUSED, 11.5)
    assert serving.serves(ONE, since=11.0, now=12.0)


@pytest.mark.parametrize(
    ("calls", "is_stuck"),
    [
        ([(OTHER, ACCEPTED, 5), (ONE, DOWN, STUCK_AFTER - 1)], False),
        ([(OTHER, ACCEPTED, 5), (ONE, DOWN, STUCK_AFTER)], True),
        ([(OTHER, REFUSED, 5), (ONE, SILENT, STUCK_AFTER)], True),
        ([(OTHER, ACCEPTED, 5), (ONE, DOWN, STUCK_AFTER), (ONE, ACCEPTED, 1), (ONE, DOWN, 5)], False),
        ([(OTHER, ACCEPTED, 5), (ONE, DOWN, STUCK_AFTER), (ONE, REFUSED, 1), (ONE, DOWN, 5)], False),
        # It is everybody's trouble, or nobody knows.
        ([(OTHER, DOWN, 5), (ONE, DOWN, STUCK_AFTER)], False),
        ([(ONE, DOWN, STUCK_AFTER)], False),
        # Nothing of the mailing's own.
        ([(OTHER, ACCEPTED, 5), (ONE, LIMITED, STUCK_AFTER)], False),
        ([(OTHER, ACCEPTED, 5), (ONE, CLOSED, STUCK_AFTER)], False),
    ],
)
def test_a_mailing_that_gets_nowhere_while_others_do(calls: list[tuple[int, Outcome, int]], is_stuck: bool) -> None:
    assert seen(*calls).is_stuck(ONE, now=1.0) is is_stuck


def test_what_others_got_before_is_no_sign_that_a_mailing_is_stuck() -> None:
    """An outage that begins after another mailing has ended is everybody's trouble: nothing is held back for it."""
    serving = seen((OTHER, ACCEPTED, CALLS))
    for number in range(STUCK_AFTER):
        serving.observe(ONE, DOWN, 1.0 + number / 100)
        assert not serving.is_stuck(ONE, now=2.0)
    serving.observe(THIRD, DOWN, 2.0)
    assert not serving.is_stuck(ONE, now=2.0)
    serving.observe(OTHER, ACCEPTED, 3.0)
    assert serving.is_stuck(ONE, now=3.0)


def test_it_remembers_no_more_mailings_than_it_needs() -> None:
    serving = Serving()
    for mailing_id in range(5_000):
        serving.observe(mailing_id, DOWN, 0.0)
    assert len(vars(serving)["_in_vain"]) <= 1_000
    assert len(vars(serving)["_made"]) <= CALLS
