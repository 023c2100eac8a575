"""What goes and what stays, as one table."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.retention import PART_LASTS, PART_MESSAGES, Goes, Part, Retention, is_full

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("days", "part", "goes"),
    [
        # closed, running, first finished, last finished
        (90, Part(1, ago(100), False, ago(95), ago(90)), Goes.PART),
        (90, Part(1, ago(100), False, ago(95), ago(89.9)), Goes.NOTHING),
        (90, Part(1, ago(400), False, ago(180), ago(89.9)), Goes.LEFTOVERS),
        (90, Part(1, ago(400), True, ago(180), ago(170)), Goes.LEFTOVERS),
        (90, Part(1, ago(400), True, ago(179.9), ago(170)), Goes.NOTHING),
        (90, Part(1, ago(400), True), Goes.NOTHING),
        (90, Part(1, ago(89.9), False, ago(200), ago(190)), Goes.LEFTOVERS),
        (90, Part(1, None, False, ago(200), ago(190)), Goes.LEFTOVERS),
        (90, Part(1, None), Goes.NOTHING),
        (90, Part(1, ago(90)), Goes.PART),  # all of it is given up already
        (1, Part(1, ago(1), False, ago(3), ago(1)), Goes.PART),
        (0, Part(1, ago(40_000), False, ago(40_000), ago(40_000)), Goes.NOTHING),
    ],
)
def test_what_goes_of_a_part(days: int, part: Part, goes: Goes) -> None:
    assert Retention(days).goes(part, NOW) is goes


def test_rows_go_one_by_one_after_twice_as_long() -> None:
    assert Retention(90).kept_one_by_one == 2 * Retention(90).kept == timedelta(days=180)


@pytest.mark.parametrize(
    ("messages", "lasted", "full"),
    [
        (0, timedelta(days=400), False),
        (1, PART_LASTS, True),
        (1, PART_LASTS - timedelta(seconds=1), False),
        (PART_MESSAGES, timedelta(0), True),
        (PART_MESSAGES - 1, timedelta(0), False),
    ],
)
def test_when_a_part_is_closed(messages: int, lasted: timedelta, full: bool) -> None:
    assert is_full(messages, lasted) is full
