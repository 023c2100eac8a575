"""What messages wait for, and when all of them will be done."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from api_service.mailings.outlook import Dispatchers, Facts, Opening, Progress, outlook
from shared.database.models import Mailing
from shared.domain.message import MessageState
from shared.domain.waiting import Waiting
from shared.domain.window import Window

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
ONE = Dispatchers(number=1, pace=10.0)
GOING = Progress(pace=10.0, latest_pace=10.0)


def facts(
    dispatchers: Dispatchers = ONE, progress: Progress = GOING, *, states: dict[str, int] | None = None, **mailing: Any
) -> Facts:
    """Of a mailing that runs and has 100 messages that are due, unless said otherwise."""
    values = {"starts_at": NOW - HOUR, "ends_at": NOW + HOUR, "launched_at": NOW - HOUR, **mailing}
    counts = dict.fromkeys(MessageState, 0)
    counts |= {
        MessageState(state): number for state, number in ({"pending": 100} if states is None else states).items()
    }
    return Facts(Mailing(**values), counts, NOW, dispatchers, progress)


def causes(subject: Facts) -> list[tuple[Waiting, int | None, datetime | None]]:
    return [(cause, messages, until) for cause, messages, until in outlook(subject).causes]


@pytest.mark.parametrize(
    ("mailing", "found"),
    [
        ({"draft": True, "starts_at": None}, [(Waiting.DRAFT, None, None)]),
        ({"starts_at": NOW + SECOND}, [(Waiting.START, None, NOW + SECOND)]),
        ({"paused_at": NOW}, [(Waiting.PAUSED, 100, None)]),
        ({"ends_at": NOW}, []),
        ({"finished_at": NOW}, []),
        ({"cancelled_at": NOW}, []),
    ],
)
def test_what_does_not_run_has_one_cause_and_no_end_in_sight(mailing: dict[str, Any], found: list[Any]) -> None:
    subject = facts(**mailing)
    assert causes(subject) == found
    assert outlook(subject).finishes_at is None
    assert outlook(subject).in_time is None


@pytest.mark.parametrize(
    ("dispatchers", "progress", "cause", "until"),
    [
        (Dispatchers(), GOING, Waiting.NO_DISPATCHER, None),
        (Dispatchers(2, 10.0, is_down=True), GOING, Waiting.PROVIDER_DOWN, None),
        (Dispatchers(2, 100.0, is_rated=True), GOING, Waiting.OTHERS, None),
        (Dispatchers(2, 11.0, is_rated=True, is_limited=True), GOING, Waiting.RATE, None),
        (Dispatchers(2, 11.0, is_limited=True), GOING, Waiting.PROVIDER_LIMITED, None),
        (ONE, GOING, Waiting.PACE, None),
        (ONE, Progress(held_until=NOW + SECOND), Waiting.HELD, NOW + SECOND),
        (ONE, Progress(10.0, 10.0, held_until=NOW), Waiting.PACE, None),
    ],
)
def test_what_decides_most_is_said_of_those_that_are_due(
    dispatchers: Dispatchers, progress: Progress, cause: Waiting, until: datetime | None
) -> None:
    assert causes(facts(dispatchers, progress)) == [(cause, 100, until)]


def test_each_message_waits_for_one_thing() -> None:
    openings = [Opening(NOW - HOUR, 5), Opening(NOW + HOUR, 30), Opening(NOW + 2 * HOUR, 40)]
    progress = Progress(10.0, 10.0, openings, last_retry=NOW + 3 * HOUR)
    subject = facts(progress=progress, states={"pending": 90, "retrying": 7, "sending": 3}, launched_at=None)
    assert causes(subject) == [
        (Waiting.LAUNCH, None, None),
        (Waiting.WINDOW, 30, NOW + HOUR),
        (Waiting.WINDOW, 40, NOW + 2 * HOUR),
        (Waiting.RETRY, 7, NOW + 3 * HOUR),
        (Waiting.PACE, 20, None),
    ]


def test_no_more_wait_for_an_opening_than_wait_at_all() -> None:
    """Some of those that were put off may have been skipped since."""
    progress = Progress(10.0, 10.0, [Opening(NOW + HOUR, 60), Opening(NOW + 2 * HOUR, 60)])
    assert causes(facts(progress=progress)) == [
        (Waiting.WINDOW, 60, NOW + HOUR),
        (Waiting.WINDOW, 40, NOW + 2 * HOUR),
    ]


@pytest.mark.parametrize(
    ("progress", "states", "seconds"),
    [
        (GOING, {"pending": 100}, 10),
        (GOING, {"pending": 60, "sending": 20, "retrying": 20}, 10),
        (GOING, {"sent": 5}, 0),
        (Progress(10.0, 10.0, last_retry=NOW + HOUR), {"retrying": 1}, 3600),
        (Progress(0.0, 10.0, last_retry=NOW + HOUR), {"retrying": 1}, 3600),  # nothing else is left
        (Progress(10.0, 10.0, [Opening(NOW + 5 * SECOND, 50)]), {"pending": 100}, 10),  # they come while others go out
        (Progress(10.0, 10.0, [Opening(NOW + HOUR, 50)]), {"pending": 100}, 3605),
        (Progress(0.0, 10.0, [Opening(NOW + HOUR, 100)]), {"pending": 100}, 3610),  # at the pace that it had
        (Progress(10.0, 10.0, to_create=900.0), {"pending": 100}, 100),
        (Progress(0.0, 10.0), {"pending": 100}, None),  # nothing goes out
        (Progress(), {"pending": 100}, None),
    ],
)
def test_when_it_will_be_done(progress: Progress, states: dict[str, int], seconds: float | None) -> None:
    found = outlook(facts(progress=progress, states=states, ends_at=NOW + 2 * HOUR))
    assert found.finishes_at == (None if seconds is None else NOW + seconds * SECOND)
    assert found.in_time is (None if seconds is None else True)


@pytest.mark.parametrize(
    ("progress", "began", "cause"),
    [
        (Progress(), NOW, Waiting.PACE),
        (Progress(), NOW - 6 * SECOND, Waiting.OTHERS),
        (Progress(1.0, 1.0), NOW, Waiting.OTHERS),
    ],
)
def test_of_one_that_has_hardly_begun_nobody_says_that_others_go_first(
    progress: Progress, began: datetime, cause: Waiting
) -> None:
    assert causes(facts(progress=progress, launched_at=began)) == [(cause, 100, None)]


@pytest.mark.parametrize("dispatchers", [Dispatchers(), Dispatchers(1, 10.0, is_down=True)])
def test_nobody_can_say_while_nothing_goes_out(dispatchers: Dispatchers) -> None:
    assert outlook(facts(dispatchers)).finishes_at is None


def test_it_says_whether_that_is_before_the_end() -> None:
    assert outlook(facts(ends_at=NOW + 11 * SECOND)).in_time is True
    assert outlook(facts(ends_at=NOW + 10 * SECOND)).in_time is False


def test_nights_count_where_a_window_lets_less_out_in_a_day() -> None:
    window = Window(time(21), time(9))
    subject = facts(states={"pending": 10 * 3600 * 12 + 10}, send_window=window, ends_at=NOW + 99 * HOUR)
    assert outlook(subject).finishes_at == NOW + 24 * HOUR + SECOND
