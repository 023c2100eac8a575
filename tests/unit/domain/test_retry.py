"""What an attempt leads to, as one table, and what holds for every outcome."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.message import MOVES, MessageState
from shared.domain.retry import (
    DEFAULT_LADDER,
    Decision,
    Finish,
    HandBack,
    Outcome,
    OutcomeKind,
    Retry,
    RetryPolicy,
    Tried,
)

POLICY = RetryPolicy()  # 5s 30s 2m 10m 1h, ten attempts
LEFT = {"week": timedelta(days=7), "hour": timedelta(hours=1), "3m": timedelta(minutes=3), "20s": timedelta(seconds=20),
        "5s": timedelta(seconds=5), "none": timedelta(0), "late": -timedelta(seconds=1)}  # fmt: skip


def _retry(**delay: int) -> Retry:
    return Retry(timedelta(**delay))


SENT, FAILED, UNKNOWN, EXPIRED = map(
    Finish, (MessageState.SENT, MessageState.FAILED, MessageState.UNKNOWN, MessageState.EXPIRED)
)


def after(calls: int, *, spent: int | None = None, since: float = 0.0, doubt: bool = False) -> Tried:
    """What lies behind a message. spent: all of its calls, unless it is said."""
    return Tried(calls, calls if spent is None else spent, since, doubt)


def back(**delay: int) -> HandBack:
    return HandBack(timedelta(**delay))


@pytest.mark.parametrize(
    ("kind", "calls", "left", "retry_after", "decision"),
    [
        # The provider has decided: nothing else matters.
        ("accepted", 1, "week", 0, SENT),
        ("accepted", 10, "late", 0, SENT),
        ("refused", 1, "week", 0, FAILED),
        ("refused", 10, "late", 0, FAILED),
        # What every message would meet, and what came too early: it waits for its rung, and no longer than it must.
        ("unauthorized", 1, "week", 0, back(seconds=5)),
        ("unauthorized", 2, "week", 0, back(seconds=30)),
        ("unauthorized", 1, "late", 0, back(seconds=5)),
        ("limited", 1, "week", 0, back(seconds=5)),
        ("limited", 1, "week", 100, back(minutes=2)),
        ("limited", 2, "week", 1, back(seconds=30)),
        ("limited", 5, "20s", 0, back(seconds=5)),
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
def test_what_follows(kind: str, calls: int, left: str, retry_after: float, decision: Decision) -> None:
    outcome = Outcome(OutcomeKind(kind), retry_after=retry_after)
    tried = after(calls, doubt=outcome.kind is OutcomeKind.AMBIGUOUS)
    assert POLICY.decide(outcome, tried, LEFT[left].total_seconds()) == decision


@pytest.mark.parametrize(
    ("kind", "tried", "decision"),
    [
        # The rung goes by the calls, the end by those that are spent.
        ("transient", after(1, spent=0), _retry(seconds=5)),
        ("transient", after(4, spent=0), _retry(minutes=10)),
        ("transient", after(30, spent=9), _retry(hours=1)),
        ("transient", after(30, spent=10), FAILED),
        ("unauthorized", after(30, spent=9), back(hours=1)),
        # Nobody is asked for ever: ten times as many calls, and not within an hour of the first.
        ("transient", after(99, spent=0, since=7200), _retry(hours=1)),
        ("transient", after(100, spent=0, since=3599), _retry(hours=1)),
        ("transient", after(100, spent=0, since=3600), FAILED),
        ("transient", after(100, spent=1, since=3600, doubt=True), UNKNOWN),
        ("unauthorized", after(100, spent=0, since=3600), FAILED),
        ("limited", after(100, spent=0, since=3600), FAILED),
        ("limited", after(100, spent=0, since=60), back(hours=1)),
    ],
)
def test_calls_and_attempts_are_counted_apart(kind: str, tried: Tried, decision: Decision) -> None:
    assert POLICY.decide(Outcome(OutcomeKind(kind)), tried, LEFT["week"].total_seconds()) == decision


@pytest.mark.parametrize(("attempts", "calls"), [(1, 50), (4, 50), (5, 50), (6, 60), (20, 200)])
def test_a_message_is_given_up_after_fifty_calls_at_the_least(attempts: int, calls: int) -> None:
    assert RetryPolicy(attempts=attempts).calls == calls


@pytest.mark.parametrize(
    ("kind", "calls", "left", "decision"),
    [
        ("accepted", 2, "week", SENT),
        ("refused", 2, "week", UNKNOWN),
        ("transient", 10, "week", UNKNOWN),
        ("transient", 2, "late", UNKNOWN),
        ("ambiguous", 10, "week", UNKNOWN),
        ("transient", 2, "week", _retry(seconds=30)),
        ("unauthorized", 2, "week", back(seconds=30)),
    ],
)
def test_what_an_earlier_call_may_have_delivered_is_never_called_undelivered(
    kind: str, calls: int, left: str, decision: Decision
) -> None:
    tried = after(calls, doubt=True)
    assert POLICY.decide(Outcome(OutcomeKind(kind)), tried, LEFT[left].total_seconds()) == decision


ladders = st.lists(st.integers(1, 10**6), min_size=1, max_size=8, unique=True).map(
    lambda seconds: tuple(timedelta(seconds=number) for number in sorted(seconds))
)
policies = st.builds(RetryPolicy, ladders, st.integers(1, 20))
outcomes = st.builds(Outcome, st.sampled_from(OutcomeKind), retry_after=st.floats(0, allow_nan=False) | st.just(0.0))
to_deadline = st.timedeltas(-timedelta(days=1), timedelta(days=30))


histories = st.builds(
    lambda calls, spent, since, doubt: Tried(max(calls, spent), spent, since, doubt),
    st.integers(1, 250), st.integers(0, 25), st.floats(0, 10**5), st.booleans(),
)  # fmt: skip


@given(policies, outcomes, histories, to_deadline)
def test_a_retry_is_a_rung_before_the_deadline_and_not_sooner_than_asked_for(
    policy: RetryPolicy, outcome: Outcome, tried: Tried, left: timedelta
) -> None:
    ambiguous = outcome.kind is OutcomeKind.AMBIGUOUS
    tried = tried._replace(maybe_delivered=tried.maybe_delivered or ambiguous)
    match policy.decide(outcome, tried, left.total_seconds()):
        case Retry(delay):
            assert delay in policy.ladder
            assert delay < left
            assert delay.total_seconds() >= min(outcome.retry_after, policy.ladder[-1].total_seconds())
            assert tried.attempts < policy.attempts
            assert tried.calls < policy.calls or tried.since < 3600
            assert outcome.kind in (OutcomeKind.TRANSIENT, OutcomeKind.AMBIGUOUS)
        case Finish(state):
            assert state in MOVES[MessageState.SENDING]
            assert (state is MessageState.SENT) == (outcome.kind is OutcomeKind.ACCEPTED)
            assert (state is MessageState.UNKNOWN) == (tried.maybe_delivered and state is not MessageState.SENT)
        case HandBack(delay):
            assert outcome.kind in (OutcomeKind.LIMITED, OutcomeKind.UNAUTHORIZED)
            assert delay in policy.ladder


@given(policies, outcomes, histories, to_deadline, to_deadline)
def test_more_time_never_ends_a_message_sooner(
    policy: RetryPolicy, outcome: Outcome, tried: Tried, one: timedelta, other: timedelta
) -> None:
    less, more = (policy.decide(outcome, tried, left.total_seconds()) for left in sorted((one, other)))
    if isinstance(less, Retry):
        assert isinstance(more, Retry)
        assert less.delay <= more.delay


@given(policies, st.sampled_from(OutcomeKind), st.booleans(), st.timedeltas(timedelta(0), timedelta(days=3)))
def test_trying_again_and_again_comes_to_an_end_in_time(
    policy: RetryPolicy, kind: OutcomeKind, spends: bool, left: timedelta
) -> None:
    now, calls, rest = 0.0, 0, left.total_seconds()
    while True:
        calls += 1
        tried = Tried(calls, calls if spends else 0, now, kind is OutcomeKind.AMBIGUOUS)
        decision = policy.decide(Outcome(kind), tried, rest - now)
        if isinstance(decision, Finish) or now >= rest:
            break
        assert decision.delay is not None
        now += decision.delay.total_seconds()
    assert calls <= (policy.attempts if spends else max(policy.calls, 3600 + 1))  # no rung is shorter than a second


def test_the_default_ladder_ascends() -> None:
    assert list(DEFAULT_LADDER) == sorted(set(DEFAULT_LADDER))
