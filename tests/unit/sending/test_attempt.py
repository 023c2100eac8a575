"""When an attempt may be made, on which clock, and what becomes of the message after it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.sending.attempt import STALE, Attempt, DatabaseClock, Result, attempts
from dispatcher_service.sending.blame import Blame
from shared.clock import ticks
from shared.domain.message import Error, MessageState
from shared.domain.retry import ACCEPTED, Decision, Finish, HandBack, Outcome, OutcomeKind, Retry, RetryPolicy
from shared.messages.claim import Claim, Claimed
from shared.messages.record import Verdict

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
POLICY = RetryPolicy((timedelta(seconds=5), timedelta(seconds=30)), attempts=3)
DOWN = Outcome(OutcomeKind.TRANSIENT, Error.UNREACHABLE)
SILENT = Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT)


def claimed(number: int = 1, *, left: float = 3600.0, window: float | None = None, made: int = 0) -> Claimed:
    """A message whose mailing ends in `left` seconds, and whose client's window closes in `window` seconds."""
    ends_at = NOW + timedelta(seconds=left)
    deadline = ends_at if window is None else min(ends_at, NOW + timedelta(seconds=window))
    return Claimed(number, 1, 1, number, 7, 79123456789, "Hello", made, made, ends_at, deadline, repeat=False)


def only(claim: Claim, since: float, lease: float = 30.0) -> Attempt:
    (attempt,) = attempts(claim, since, lease)
    return attempt


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_the_clock_goes_both_ways(seconds: float, since: float) -> None:
    clock = DatabaseClock(NOW, since)
    assert clock.at(since) == NOW
    moment = clock.at(since + seconds)
    assert abs((moment - NOW).total_seconds() - seconds) < 1e-3
    assert abs(clock.ticks_at(moment) - (since + seconds)) < 1e-3


def test_times_are_on_our_own_clock() -> None:
    since = ticks()
    attempt = only(Claim(NOW, [claimed(left=3600, window=60)]), since, lease=30)
    assert attempt.not_before == since
    assert attempt.deadline == pytest.approx(since + 60)
    assert attempt.lease_until == pytest.approx(since + 30)
    assert since + STALE <= attempt.start_by <= ticks() + STALE


def test_it_is_not_begun_at_or_after_the_deadline() -> None:
    since = ticks()
    attempt = only(Claim(NOW, [claimed(left=0.1)]), since)
    assert attempt.start_by == attempt.deadline == pytest.approx(since + 0.1)


def test_a_claim_that_took_long_still_leaves_time_to_start() -> None:
    attempt = only(Claim(NOW, [claimed()]), since=ticks() - 10)
    assert attempt.start_by > ticks()
    assert attempt.lease_until < ticks() + 30


def test_a_limit_gives_each_message_its_moment() -> None:
    since = ticks()
    moments = [since + 3.0 + number / 10 for number in range(5)]
    made = attempts(Claim(NOW, [claimed(number) for number in range(1, 6)]), since, 30.0, moments)
    assert [attempt.message.id for attempt in made] == [1, 2, 3, 4, 5]
    assert [attempt.not_before for attempt in made] == moments
    assert [attempt.start_by - attempt.not_before for attempt in made] == pytest.approx([STALE] * 5)


DECISIONS = [
    # what the call led to, calls made before, seconds until the mailing's end → what follows, the error kept
    (None, 0, 3600, HandBack(), None),
    (None, 2, 3600, HandBack(), None),
    (ACCEPTED, 0, 3600, Finish(MessageState.SENT), None),
    (ACCEPTED, 2, -1, Finish(MessageState.SENT), None),
    (DOWN, 0, 3600, Retry(timedelta(seconds=5)), Error.UNREACHABLE),
    (DOWN, 1, 3600, Retry(timedelta(seconds=30)), Error.UNREACHABLE),
    (DOWN, 2, 3600, Finish(MessageState.FAILED), Error.UNREACHABLE),
    (DOWN, 0, 2, Finish(MessageState.EXPIRED), Error.UNREACHABLE),
    (SILENT, 2, 3600, Finish(MessageState.UNKNOWN), Error.TIMED_OUT),
    (SILENT, 0, 2, Finish(MessageState.UNKNOWN), Error.TIMED_OUT),
    (Outcome(OutcomeKind.REFUSED, Error.REJECTED), 0, 3600, Finish(MessageState.FAILED), Error.REJECTED),
]


@pytest.mark.parametrize(("outcome", "made", "left", "decision", "error"), DECISIONS)
def test_verdicts(outcome: Outcome | None, made: int, left: float, decision: Decision, error: Error | None) -> None:
    message = claimed(left=left, made=made)
    attempt = Attempt(message, DatabaseClock(NOW, 100.0), 100.0, 100.5, 100.0 + left, 130.0)
    verdict = Verdict(message, decision, error, ambiguous=outcome is SILENT, at=NOW if outcome else None)
    assert Result(attempt, outcome, at=100.0).verdict(POLICY) == verdict


def call(message: Claimed, outcome: Outcome, whose: Blame = Blame.MESSAGE) -> Verdict:
    """What becomes of a message after a call."""
    attempt = Attempt(message, DatabaseClock(NOW, 100.0), 100.0, 100.5, 3700.0, 130.0)
    return Result(attempt, outcome, 100.0, whose).verdict(POLICY)


CLOSED = Outcome(OutcomeKind.UNAUTHORIZED, Error.UNPAID)
BUSY = Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED, retry_after=20)


@pytest.mark.parametrize(
    ("outcome", "calls", "decision", "shown"),
    [
        (DOWN, 2, Retry(timedelta(seconds=30)), Error.PROVIDER_DOWN),
        (DOWN, 9, Retry(timedelta(seconds=30)), Error.PROVIDER_DOWN),
        (CLOSED, 2, HandBack(timedelta(seconds=30)), Error.PROVIDER_DOWN),
        (BUSY, 2, HandBack(timedelta(seconds=30)), Error.RATE_LIMITED),
    ],
)
def test_what_is_not_the_messages_fault_spends_nothing(
    outcome: Outcome, calls: int, decision: Decision, shown: Error
) -> None:
    """The figures count what the call met; the message shows what it waits for."""
    message = claimed(made=2)._replace(calls=calls)
    verdict = call(message, outcome, Blame.PROVIDER)
    assert verdict.decision == decision
    assert (verdict.error, verdict.shown_error) == (outcome.error, shown)
    assert not verdict.is_spent
    assert not verdict.leaves_attempt


def test_nobody_is_called_for_ever() -> None:
    an_hour_ago = NOW - timedelta(hours=1)
    message = claimed(made=1)._replace(calls=49, first_called_at=an_hour_ago)
    for outcome in (DOWN, CLOSED, BUSY):
        verdict = call(message, outcome, Blame.PROVIDER)
        assert (verdict.decision, verdict.shown_error) == (Finish(MessageState.FAILED), Error.PROVIDER_DOWN)
        assert (verdict.error, verdict.leaves_attempt) == (outcome.error, True)
    assert call(message._replace(repeat=True), DOWN, Blame.PROVIDER).decision == Finish(MessageState.UNKNOWN)
    assert isinstance(call(message._replace(calls=48), DOWN, Blame.PROVIDER).decision, Retry)
    later = message._replace(first_called_at=an_hour_ago + timedelta(seconds=1))
    assert isinstance(call(later, DOWN, Blame.PROVIDER).decision, Retry)


def test_when_the_call_before_had_ended() -> None:
    message = claimed()
    attempt = Attempt(message, DatabaseClock(NOW, 100.0), 100.0, 100.5, 3700.0, 130.0)
    assert attempt.called_before is None
    message = message._replace(last_called_at=NOW - timedelta(seconds=7))
    assert attempt._replace(message=message).called_before == 93.0


def test_what_an_earlier_call_may_have_delivered_does_not_end_as_failed() -> None:
    message = claimed(made=1)._replace(repeat=True)
    attempt = Attempt(message, DatabaseClock(NOW, 100.0), 100.0, 100.5, 3700.0, 130.0)
    refused = Outcome(OutcomeKind.REFUSED, Error.REJECTED)
    assert Result(attempt, refused, at=100.0).verdict(POLICY).decision == Finish(MessageState.UNKNOWN)


def test_a_verdict_carries_the_time_of_the_answer() -> None:
    """By the clock that the claim has read; our own says how much later that was."""
    attempt = Attempt(claimed(left=12), DatabaseClock(NOW, 100.0), 100.0, 100.5, 112.0, 130.0)
    assert Result(attempt, ACCEPTED, at=108.25).verdict(POLICY).at == NOW + timedelta(seconds=8.25)


def test_the_time_of_the_call_counts_against_the_end() -> None:
    """A rung that fitted when the call began, but not any more when it failed."""
    attempt = Attempt(claimed(left=12), DatabaseClock(NOW, 100.0), 100.0, 100.5, 112.0, 130.0)
    assert Result(attempt, DOWN, at=100.0).verdict(POLICY).decision == Retry(timedelta(seconds=5))
    assert Result(attempt, DOWN, at=108.0).verdict(POLICY).decision == Finish(MessageState.EXPIRED)
