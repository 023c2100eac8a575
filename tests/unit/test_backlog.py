"""The backlog on the broker: small when nobody consumes, large enough when everybody does, never beyond its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.backlog import LEAST, MOST, Backlog

steps = st.lists(st.tuples(st.integers(0, 400), st.floats(0, 1)), max_size=60)
"""How many jobs are consumed in each step, and which part of the room is used."""


def feed(backlog: Backlog, depth: int, part: float = 1.0) -> int:
    """The depth after publishing into a part of the room."""
    jobs = int(backlog.room(depth) * part)
    backlog.published(jobs)
    return depth + jobs


@given(steps)
def test_it_never_asks_for_more_than_the_most(steps: list[tuple[int, float]]) -> None:
    backlog, depth = Backlog(), 0
    for consumed, part in steps:
        room = backlog.room(depth)
        assert 0 <= room <= MOST
        assert depth + room <= max(depth, MOST)
        jobs = int(room * part)
        backlog.published(jobs)
        depth = max(0, depth + jobs - consumed)


@given(st.integers(1, 50))
def test_while_nobody_consumes_it_stays_at_the_least(looks: int) -> None:
    backlog, depth = Backlog(), 0
    for _ in range(looks):
        depth = feed(backlog, depth)
    assert depth == LEAST


def test_it_doubles_as_long_as_all_is_gone_at_the_next_look() -> None:
    backlog = Backlog()
    rooms = []
    for _ in range(10):
        rooms.append(backlog.room(0))
        backlog.published(rooms[-1])
    assert rooms == [2, 4, 8, 16, 32, 64, 128, 250, 250, 250]


def test_an_empty_queue_into_which_nothing_was_put_is_no_reason_to_grow() -> None:
    backlog = Backlog()
    assert [backlog.room(0) for _ in range(10)] == [LEAST] * 10


def test_it_shrinks_again_when_consumers_get_slow() -> None:
    backlog = Backlog()
    for _ in range(10):
        feed(backlog, 0)
    depth, depths = MOST, []
    for _ in range(1000):
        depth = max(0, feed(backlog, depth) - 1)  # one job is consumed from look to look
        depths.append(depth)
    assert max(depths[500:]) <= 2 * LEAST


def test_while_there_is_nothing_to_publish_it_forgets_how_fast_the_last_mailing_went() -> None:
    backlog = Backlog()
    for _ in range(10):
        feed(backlog, 0)
    for _ in range(10):
        feed(backlog, 0, part=0)
    assert backlog.room(0) == LEAST


@given(st.integers(LEAST, MOST))
def test_what_is_too_much_already_gets_no_more(depth: int) -> None:
    assert Backlog().room(depth) == 0
