"""What an attempt leads to, as one table, and what holds for every outcome."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.message import MOVES, MessageState
from shared.domain.retry import DEFAULT_LADDER, Decision, Finish, HandBack, Outcome, OutcomeKind, Retry, RetryPolicy

NOW = datetime(2026, 1, 30, 12, tzinfo=UTC)
POLICY = RetryPolicy()  # 5s 30s 2m 10m 1h, ten attempts
LEFT = {"week": timedelta(days=7), "hour": timedelta(hours=1), "3m": timedelta(minutes=3), "20s": timedelta(seconds=20),
        "5s": timedelta(seconds=5), "none": timedelta(0), "late": -timedelta(seconds=1)}  # fmt: skip


def _retry(**delay: int) -> Retry:
    return Retry(timedelta(**delay))


SENT, FAILED, UNKNOWN, EXPIRED = map(
    Finish, (MessageState.SENT, MessageState.FAILED, MessageState.UNKNOWN, MessageState.EXPIRED)
)


@pytest.mark.parametrize(
    ("kind", "attempts", "left", "retry_after", "decision"),
    [
        # The provider has decided: nothing else matters.
        ("accepted", 1, "week", 0, SENT),
        ("accepted", 10, "late", 0, SENT),
        ("refused", 1, "week", 0, FAILED),
        ("refused", 10, "late", 0, FAILED),
        # Our token: says nothing about the message, costs it nothing.
        ("unauthorized", 1, "week", 0, HandBack()),
        ("unauthorized", 10, "late", 0, HandBack()),
        # One rung after the other, the last one repeated.
        ("transient", 1, "week", 0, _retry(seconds=5)),
        ("transient", 2, "week", 0, _retry(seconds=30)),
        ("transient", 3, "week", 0, _retry(minutes=2)),
        ("transient", 4, "week", 0, _retry(minutes=10)),
        ("transient", 5, "week", 0, _retry(hours=1)),
        ("transient", 9, "week", 0, _retry(hours=1)),
        ("transient", 10, "week", 0, FAILED),
        # The same where the provider may have taken it, but then nobody knows.
        ("ambiguous", 1, "week", 0, _retry(seconds=5)),
        ("ambiguous", 9, "week", 0, _retry(hours=1)),
        ("ambiguous", 10, "week", 0, UNKNOWN),
        # The mailing ends before the rung does: the longest one that still fits.
        ("transient", 5, "hour", 0, _retry(minutes=10)),
        ("transient", 5, "3m", 0, _retry(minutes=2)),
        ("transient", 3, "20s", 0, _retry(seconds=5)),
        ("transient", 1, "5s", 0, EXPIRED),
        ("transient", 1, "none", 0, EXPIRED),
        ("transient", 1, "late", 0, EXPIRED),
        ("ambiguous", 1, "5s", 0, UNKNOWN),
        ("ambiguous", 1, "late", 0, UNKNOWN),
        ("transient", 10, "late", 0, FAILED),
        # The provider asks for time: never less than that, up to the top of the ladder.
        ("transient", 1, "week", 5, _retry(seconds=5)),
        ("transient", 1, "week", 5.1, _retry(seconds=30)),
        ("transient", 1, "week", 100, _retry(minutes=2)),
        ("transient", 4, "week", 100, _retry(minutes=10)),
        ("transient", 1, "week", 86400, _retry(hours=1)),
        ("transient", 1, "week", float("inf"), _retry(hours=1)),
        ("transient", 1, "3m", 100, _retry(minutes=2)),
        ("transient", 4, "3m", 100, _retry(minutes=2)),
        ("transient", 4, "3m", 121, EXPIRED),
        ("ambiguous", 4, "3m", 121, UNKNOWN),
        ("transient", 1, "week", -1, _retry(seconds=5)),
    ],
)
def test_what_follows(kind: str, attempts: int, left: str, retry_after: float, decision: Decision) -> None:
    outcome = Outcome(OutcomeKind(kind), retry_after=retry_after)
    assert POLICY.decide(outcome, attempts, NOW, NOW + LEFT[left]) == decision


ladders = st.lists(st.integers(1, 10**6), min_size=1, max_size=8, unique=True).map(
    lambda seconds: tuple(timedelta(seconds=number) for number in sorted(seconds))
)
policies = st.builds(RetryPolicy, ladders, st.integers(1, 20))
outcomes = st.builds(Outcome, st.sampled_from(OutcomeKind), retry_after=st.floats(0, allow_nan=False) | st.just(0.0))
to_deadline = st.timedeltas(-timedelta(days=1), timedelta(days=30))


@given(policies, outcomes, st.integers(1, 25), to_deadline)
def test_a_retry_is_a_rung_before_the_deadline_and_not_sooner_than_asked_for(
    policy: RetryPolicy, outcome: Outcome, attempts: int, left: timedelta
) -> None:
    match policy.decide(outcome, attempts, NOW, NOW + left):
        case Retry(delay):
            assert delay in policy.ladder
            assert delay < left
            assert delay.total_seconds() >= min(outcome.retry_after, policy.ladder[-1].total_seconds())
            assert attempts < policy.attempts
            assert outcome.kind in (OutcomeKind.TRANSIENT, OutcomeKind.AMBIGUOUS)
        case Finish(state):
            assert state in MOVES[MessageState.SENDING]
            assert (state is MessageState.UNKNOWN) == (outcome.kind is OutcomeKind.AMBIGUOUS)
            assert (state is MessageState.SENT) == (outcome.kind is OutcomeKind.ACCEPTED)
        case HandBack():
            assert outcome.kind is OutcomeKind.UNAUTHORIZED


@given(policies, outcomes, st.integers(1, 25), to_deadline, to_deadline)
def test_more_time_never_ends_a_message_sooner(
    policy: RetryPolicy, outcome: Outcome, attempts: int, one: timedelta, other: timedelta
) -> None:
    less, more = (policy.decide(outcome, attempts, NOW, NOW + left) for left in sorted((one, other)))
    if isinstance(less, Retry):
        assert isinstance(more, Retry)
        assert less.delay <= more.delay


@given(policies, st.sampled_from([OutcomeKind.TRANSIENT, OutcomeKind.AMBIGUOUS]), to_deadline)
def test_trying_again_and_again_comes_to_an_end_in_time(
    policy: RetryPolicy, kind: OutcomeKind, left: timedelta
) -> None:
    now, deadline, calls = NOW, NOW + left, 1
    while isinstance(decision := policy.decide(Outcome(kind), calls, now, deadline), Retry):
        now += decision.delay
        calls += 1
        assert now < deadline
    assert isinstance(decision, Finish)
    assert calls <= policy.attempts


def test_the_default_ladder_ascends() -> None:
    assert list(DEFAULT_LADDER) == sorted(set(DEFAULT_LADDER))
