"""The leader's cursor: what is due is read once while all is well, and found again wherever it turned up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.leading.cursor import LOOK_BACK, LOOK_EVERY, REMEMBERED, RESTART_EVERY, Cursor
from shared.domain.due import Group, Position

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Rows:
    """What is due, and a cursor that reads it. The clock of the database shows the seconds since START."""

    def __init__(self, **due: float) -> None:
        self.due = {int(name.removeprefix("m")): at(seconds) for name, seconds in due.items()}
        self.cursor = Cursor()
        self.reads = 0

    def read(self, now: float, limit: int = 100, ticks: float | None = None) -> list[int]:
        """What is published at that moment. ticks: where the clock has stepped."""
        ticks = now if ticks is None else ticks
        position = self.cursor.begin(ticks)
        rows = sorted((due_at, message_id) for message_id, due_at in self.due.items() if due_at <= at(now))
        rows = [row for row in rows if position is None or row > position][:limit]
        self.reads += len(rows)
        groups = [
            Group(moment, [one for due_at, one in rows if due_at == moment])
            for moment in dict.fromkeys(due_at for due_at, _ in rows)
        ]
        return [message_id for group in self.cursor.advance(groups, at(now), ticks) for message_id in group.ids]


def test_it_reads_on_where_it_was() -> None:
    rows = Rows(m3=1, m1=2, m2=2, m4=3)
    assert rows.read(10, limit=2) == [3, 1]
    assert rows.read(10, limit=2) == [2, 4]
    assert rows.read(10) == []
    assert rows.reads == 4


def test_what_became_visible_behind_it_is_found_by_the_next_look() -> None:
    rows = Rows(m1=100)
    assert rows.read(100) == [1]
    rows.due[2] = at(90)  # by a transaction that took ten seconds
    assert rows.read(100 + LOOK_EVERY / 2) == []
    assert rows.read(100 + LOOK_EVERY) == [2]


def test_a_look_misses_nothing_that_was_committed_since_the_last_one_began() -> None:
    """What was made due right before it, and was committed right after it, lies 15 s before it."""
    rows = Rows(m1=100)
    for now in range(100, 110):
        rows.read(now)
        rows.due[now] = at(now) - LOOK_BACK + timedelta(milliseconds=1)
        assert now in rows.read(now + LOOK_EVERY)


def test_a_look_costs_nothing_while_the_cursor_is_far_behind_the_clock() -> None:
    """A launch of a million messages within some seconds: they are all due since long ago."""
    rows = Rows(**{f"m{number}": 1 for number in range(1, 500)})
    published = [message_id for now in range(100, 120) for message_id in rows.read(now, limit=10)]
    assert published == list(range(1, 201))
    assert rows.reads == 200


def test_what_is_due_anew_is_published_however_lately_it_was() -> None:
    rows = Rows(m1=100)
    assert rows.read(100) == [1]
    rows.due[1] = at(101)
    assert rows.read(101) == [1]


def test_a_lost_job_is_published_again_half_a_minute_later() -> None:
    rows = Rows(m1=1)
    assert rows.read(100) == [1]
    assert [now for now in range(101, 200) if rows.read(now)] == [100 + RESTART_EVERY, 100 + 2 * RESTART_EVERY, 190]


def test_one_that_was_lost_lately_is_published_as_soon_as_it_may_have_been_acked_unread() -> None:
    rows = Rows(m1=100)
    assert rows.read(100) == [1]
    assert next(now for now in range(101, 200) if rows.read(now)) == 100 + REMEMBERED


def test_after_the_clock_went_back_it_reads_from_the_start() -> None:
    rows = Rows(m1=100)
    assert rows.read(100) == [1]
    rows.due[2] = at(60)
    assert rows.read(60.1, ticks=100.1) == []
    assert rows.read(60.2, ticks=100.2) == [2]


def test_who_asks_for_one_gets_it_unless_it_was_published_a_moment_ago() -> None:
    rows = Rows(m1=1, m2=1)
    assert rows.read(100) == [1, 2]
    rows.cursor.wake([1], 100.1)
    assert rows.read(100.1) == []
    rows.cursor.wake([1], 102)
    assert rows.read(102) == [1]


def test_where_there_is_nothing_left_it_rests_but_not_over_a_look() -> None:
    rows = Rows(m1=1)
    rows.read(100)
    rows.cursor.rest(105)
    assert rows.cursor.is_resting(100.5)
    assert not rows.cursor.is_resting(100 + LOOK_EVERY)
    rows.cursor.wake([], 100.5)
    assert not rows.cursor.is_resting(100.5)


@pytest.mark.parametrize("position", [None, Position(at(1), 5)])
def test_nothing_read_moves_nothing(position: Position | None) -> None:
    cursor = Cursor()
    cursor.begin(0)
    if position:
        cursor.advance([Group(position.due_at, [position.id])], at(1), 0)
    cursor.advance([], at(2), 0.1)
    assert cursor.begin(0.2) == position


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 14), st.floats(0, 14)), max_size=60), st.integers(1, 5))
def test_everything_that_is_due_is_published_within_a_second(
    commits: list[tuple[int, float, float]], limit: int
) -> None:
    """Rows that are made due, by transactions of all lengths, at all moments; read as there is room for some."""
    rows = Rows()
    pending = sorted((begun + lasts, begun, 100 + number) for number, (_, begun, lasts) in enumerate(commits))
    visible_at: dict[int, float] = {}
    published: dict[int, float] = {}
    tick = 0
    while tick < 320:
        now = 20 + tick / 10
        for commit in [one for one in pending if one[0] + 20 <= now]:
            pending.remove(commit)
            rows.due[commit[2]] = at(commit[1] + 20)
            visible_at[commit[2]] = now
        while ids := rows.read(now, limit):
            assert not published.keys() & set(ids), "published twice"
            published |= dict.fromkeys(ids, now)
            for message_id in ids:  # they are claimed at once
                del rows.due[message_id]
        tick += 1
    assert published.keys() == visible_at.keys()
    assert all(published[message_id] - visible_at[message_id] <= LOOK_EVERY + 0.11 for message_id in published)
