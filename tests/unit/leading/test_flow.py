"""A lane whose providers are full is fed no more than they take, and a little."""

from math import inf

from dispatcher_service.leading.flow import LEAST, SPARE, Flow

FULL, FREE = 1, 0


def test_what_is_not_full_is_fed_as_fast_as_may_be() -> None:
    flow = Flow()
    flow.see({FULL: 10.0})
    flow.take(FREE, 1_000_000)
    assert flow.room(FREE, 0.0) == inf


def test_what_is_full_is_fed_what_it_takes_and_a_little() -> None:
    flow, fed, now = Flow(), 0, 0.0
    for _ in range(1000):
        now += 0.01
        flow.see({FULL: 100.0})
        room = int(flow.room(FULL, now))
        flow.take(FULL, room)
        fed += room
    assert 10 * 100 * SPARE <= fed <= 11 * (100 * SPARE + LEAST)


def test_it_saves_up_no_more_than_a_second() -> None:
    flow = Flow()
    flow.see({FULL: 0.0})
    assert flow.room(FULL, 1000.0) == LEAST


def test_what_is_full_no_more_is_free_at_once() -> None:
    flow = Flow()
    flow.see({FULL: 0.0})
    flow.take(FULL, 1_000)
    assert flow.room(FULL, 0.0) < 0
    flow.see({})
    assert flow.room(FULL, 0.0) == inf
