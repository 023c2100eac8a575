"""The queues of a deployment follow from its retry ladder."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import settings
from shared.broker.topology import DEAD, DISPATCH, IDS, LAUNCH, WAKE, queues, retry_queue
from shared.domain.retry import DEFAULT_LADDER

delays = st.integers(1, 30 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(1, "1s"), (59, "59s"), (60, "1m"), (90, "90s"), (3600, "1h"), (5400, "90m"), (86400, "1d"), (90000, "25h")],
)
def test_the_delay_is_in_the_name(seconds: int, name: str) -> None:
    assert retry_queue(timedelta(seconds=seconds)) == f"mailing.retry.{name}"


@given(delays, delays)
def test_two_delays_have_two_queues(one: timedelta, other: timedelta) -> None:
    assert (retry_queue(one) == retry_queue(other)) == (one == other)


@given(delays)
def test_a_name_can_be_read_as_the_delay_that_it_stands_for(delay: timedelta) -> None:
    rung = retry_queue(delay).removeprefix("mailing.retry.")
    assert settings.load({"RETRY_LADDER": rung}).retry_ladder == (delay,)


@given(st.sets(delays, max_size=8))
def test_every_rung_has_a_queue_beside_the_fixed_ones(ladder: set[timedelta]) -> None:
    found = queues(tuple(ladder))
    names = [queue.name for queue in found]
    assert len(set(names)) == len(names) == len(ladder) + 5
    assert {queue.name for queue in found if queue.delay is None} == {DEAD, IDS, LAUNCH, WAKE, DISPATCH}
    assert {queue.delay for queue in found if queue.delay} == ladder
    assert all(names.index(WAKE) < names.index(retry_queue(delay)) for delay in ladder)


def test_the_queues_of_the_default_ladder() -> None:
    assert [queue.name for queue in queues(DEFAULT_LADDER)] == [
        "message.dead", "message.ids", "mailing.launch", "mailing.wake", "message.dispatch", "mailing.retry.5s",
        "mailing.retry.30s", "mailing.retry.2m", "mailing.retry.10m", "mailing.retry.1h",
    ]  # fmt: skip
