"""The pace of a provider, found out by what it answers."""

from math import inf
from random import Random

import pytest

from benchmarks.simulation.paces import run
from benchmarks.simulation.provider import Provider
from dispatcher_service.sending.pace import (
    AFTER_REST,
    AGAIN,
    FALL,
    FIRST_CALLS,
    LEAST,
    LONGEST_STOP,
    RISE_BEYOND,
    Pace,
)
from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind

DOWN = Outcome(OutcomeKind.TRANSIENT, Error.SERVER_ERROR)
HUNG = Outcome(OutcomeKind.AMBIGUOUS, Error.TIMED_OUT)
REFUSED = Outcome(OutcomeKind.REFUSED, Error.REJECTED)


def too_much(retry_after: float = 0.0) -> Outcome:
    return Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED, retry_after)


def serve(pace: Pace, since: float, seconds: float, per_second: float) -> float:
    """So many calls, each taken at once; the time afterwards."""
    for number in range(int(seconds * per_second)):
        now = since + number / per_second
        pace.begin(now, 1)
        pace.observe(ACCEPTED, now, now)
    return since + seconds


def fall(pace: Pace, now: float, retry_after: float = 0.0) -> int:
    """How many 429 it takes."""
    for number in range(1, 100):
        if pace.observe(too_much(retry_after), now, now):
            return number
    raise AssertionError("it never falls")


def limited(per_second: float = 100.0) -> tuple[Pace, float]:
    """After two falls at so many calls a second: it is known what the provider takes. And the time then."""
    pace = Pace()
    now = serve(pace, 100.0, 2.0, per_second)
    fall(pace, now)
    now = serve(pace, now, 2.0, per_second)
    fall(pace, now)
    return pace, now


def test_calls_in_flight_grow_with_what_was_answered() -> None:
    pace = Pace()
    assert pace.allowed(0.0, 0) == FIRST_CALLS == 4
    assert pace.allowed(0.0, 4) == 0
    for outcome in (ACCEPTED, REFUSED, DOWN, HUNG, too_much()):
        pace.observe(outcome, 0.0, 1.0)
    assert pace.allowed(1.0, 0) == 6, "what is neither taken nor refused is no sign that more may come"
    assert (pace.pause(1.0, 5), pace.pause(1.0, 6)) == (0.0, inf), "only an answer changes that"


def test_calls_that_are_allowed_and_not_made_are_no_reason_to_allow_more() -> None:
    pace = Pace()
    for second in range(100):  # one at a time, for ever
        pace.begin(float(second), 1)
        pace.observe(ACCEPTED, float(second), second + 0.1)
    assert pace.allowed(100.0, 0) == FIRST_CALLS


def busy(pace: Pace, now: float, calls: int) -> float:
    """So many calls at a time; the time afterwards."""
    while (most := pace.allowed(now, 0)) < calls:
        for number in range(1, most + 1):
            pace.begin(now, number)
        for _ in range(most):
            pace.observe(ACCEPTED, now, now + 0.1)
        now += 0.1
    return now


def test_after_a_rest_it_begins_with_a_few_calls_at_a_time() -> None:
    """Or the next mailing would begin with all at once, which few providers take."""
    pace = Pace()
    now = busy(pace, 100.0, 200)
    allowed = [pace.allowed(now + seconds, 0) for seconds in (0.0, 0.25, 1.0, 60.0)]
    assert allowed[0] >= 200
    assert allowed[1] <= allowed[0] * 0.6
    assert allowed[2] <= 40
    assert allowed[3] == AFTER_REST
    assert busy(pace, now + 60.0, 200) < now + 61.0, "it is back within a few answers"


@pytest.mark.parametrize(("lasts", "ahead"), [(0.002, 500), (0.1, 20), (2.0, 10)])
def test_where_answers_come_at_once_more_may_be_made_ready_than_may_be_in_flight(lasts: float, ahead: int) -> None:
    """Or a provider that answers within milliseconds would wait for each claim."""
    pace = Pace()
    pace.begin(100.0, 4)
    for _ in range(8):
        pace.observe(ACCEPTED, 100.0, 100.0 + lasts)
    now = 100.0 + lasts
    assert pace.allowed(now, 6) == 6
    assert ahead <= pace.ahead(now, 0, 0.1) <= 2 * ahead


def test_calls_that_take_long_are_no_rest() -> None:
    pace = Pace()
    now = busy(pace, 100.0, 200)
    for _ in range(20):
        assert pace.allowed(now, 200) == pace.allowed(now, 0) - 200
        now += 0.5


@pytest.mark.parametrize("latency", [0.2, 0.5, 2.0])
def test_answers_that_come_late_and_together_allow_as_many_more_as_any(latency: float) -> None:
    """Nobody looks while all that is allowed is in flight."""
    pace, now = Pace(), 100.0
    for _ in range(8):
        most = pace.allowed(now, 0)
        for number in range(1, most + 1):
            pace.begin(now, number)
        for number in range(most, 0, -1):
            pace.end(now + latency, number)
            pace.observe(ACCEPTED, now, now + latency)
        now += latency
    assert pace.allowed(now, 0) == FIRST_CALLS * 2**8


def test_what_was_taken_before_a_rest_says_nothing_about_what_is_taken_after_it() -> None:
    pace = Pace()
    now = busy(pace, 100.0, 200) + 0.5
    pace.begin(now, 1)
    fall(pace, now)
    assert pace.per_second == FIRST_CALLS


@pytest.mark.parametrize("latency", [0.02, 0.15, 1.0])
def test_a_limit_that_begins_after_a_rest_costs_few_refusals(latency: float) -> None:
    """Two dispatchers that were as fast as they could, and then 50 a second."""
    provider = Provider(50, Random(2), latency=latency, limited_from=5.0)
    found = run(provider, 2, Random(2), since=5.0, until=45.0, rest=(3.5, 5.0))
    assert found.refusals <= 0.1
    assert found.efficiency >= 0.8


def test_it_falls_below_what_was_just_taken() -> None:
    pace = Pace()
    now = serve(pace, 100.0, 3.0, 50.0)
    fall(pace, now)
    assert pace.per_second == pytest.approx(FALL * 50, rel=0.15)
    before, now = pace.per_second, now + 2.0
    for _ in range(10):
        pace.observe(ACCEPTED, now, now)
        pace.observe(too_much(), now, now)
    assert pace.per_second <= FALL * before


def test_a_few_that_are_too_much_change_nothing() -> None:
    pace = Pace()
    now = serve(pace, 100.0, 10.0, 50.0)
    for _ in range(9):
        assert not pace.observe(too_much(3600), now, now)
    assert pace.per_second == inf
    assert pace.allowed(now, 0) > 0, "each waits by itself"


def test_old_news_make_nothing_fall_and_a_second_time_only_after_a_second() -> None:
    pace, now = limited()
    before = pace.per_second
    for _ in range(50):
        assert not pace.observe(too_much(60), now - 0.1, now + 5.0)
        assert not pace.observe(too_much(60), now + 0.1, now + 0.9)
    assert pace.per_second == before
    assert fall(pace, now + 1.1) == 1


def test_what_the_provider_asks_for_stops_all_calls_but_not_for_ever() -> None:
    pace, now = limited()
    fall(pace, now + 2.0, retry_after=7.0)
    assert pace.pause(now + 2.0, 4) == 7.0
    assert (pace.allowed(now + 8.9, 0), pace.allowed(now + 9.0, 0)) == (0, 1)
    fall(pace, now + 20.0, retry_after=86_400.0)
    assert pace.pause(now + 20.0, 4) == LONGEST_STOP


def test_it_rises_fast_to_what_is_known_and_slowly_beyond() -> None:
    pace, now = limited()
    known = pace.per_second
    moment = now
    for _ in range(int(10 * known)):
        moment += max(pace.pause(moment, 4), 0.0)
        pace.begin(moment, 1)
        pace.observe(ACCEPTED, moment, moment)
    seconds = moment - now
    assert pace.per_second == pytest.approx(known * RISE_BEYOND**seconds, rel=0.02)


def test_it_does_not_rise_while_it_is_not_used() -> None:
    pace, now = limited()
    before = pace.per_second
    serve(pace, now + 1, 100.0, before / 4)
    assert pace.per_second == before


def test_after_an_outage_it_is_back_within_ten_seconds() -> None:
    pace, now = limited(500.0)
    before, moment = pace.per_second, now
    pace.resume(now)
    assert pace.per_second < before / AGAIN * 1.1
    while pace.per_second < before:
        moment += pace.pause(moment, 4)
        pace.begin(moment, 1)
        pace.observe(ACCEPTED, moment, moment)
    assert moment - now < 10.0


@pytest.mark.parametrize("latency", [0.1, 4.0])
def test_so_are_the_calls_in_flight_of_a_provider_without_a_limit(latency: float) -> None:
    pace = Pace()
    serve(pace, 0.0, 10.0, 500.0)
    pace.resume(100.0)
    assert pace.allowed(100.0, 0) == FIRST_CALLS
    assert pace.allowed(110.0, 0) >= 256


def test_a_provider_that_refuses_everything_for_a_minute_is_forgotten_slowly() -> None:
    """It is asked seldom meanwhile, and soon has its pace when it takes something again."""
    pace, now = limited(100.0)
    before, end, calls = pace.per_second, now + 60.0, 0
    while now < end:
        now += max(pace.pause(now, 4), 0.0)
        pace.begin(now, 1)
        pace.observe(too_much(1.0), now, now + 0.01)
        calls += 1
    assert calls < 300
    assert pace.per_second >= LEAST
    since = now
    while pace.per_second < before / 2:
        now += max(pace.pause(now, 4), 0.0)
        pace.begin(now, 1)
        pace.observe(ACCEPTED, now, now)
    assert now - since < 20.0


@pytest.mark.parametrize("dispatchers", [1, 2, 5, 10])
@pytest.mark.parametrize("rate", [50.0, 500.0])
@pytest.mark.parametrize("by_window", [False, True])
def test_nearly_all_that_a_provider_takes_is_used(rate: float, dispatchers: int, by_window: bool) -> None:
    random = Random(dispatchers)
    found = run(Provider(rate, random, by_window=by_window), dispatchers, random)
    assert found.efficiency >= (0.85 if by_window else 0.9)  # of a window, the rest of its second is lost with a fall
    assert found.refusals <= 0.05


def test_a_provider_that_refuses_some_whatever_the_pace_is_not_slowed_down() -> None:
    """256 calls of a quarter of a second are a thousand a second."""
    random, provider = Random(3), Provider(10_000, Random(13), latency=0.25, moody=0.02)
    found = run(provider, 1, random, since=5.0, until=15.0)
    assert found.efficiency * provider.rate >= 800
