"""The backlog on the broker: small when nobody consumes, large enough when everybody does, never beyond its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.leading.backlog import AHEAD, LATEST, LEAST, MOST, SOONEST, Backlog

steps = st.lists(st.tuples(st.integers(0, 400), st.floats(0, 1)), max_size=60)
"""How many jobs are consumed in each step, and which part of the room is used."""


class Queue:
    """A backlog whose jobs are consumed at a given pace, and a feeder that looks when it is told to."""

    def __init__(self) -> None:
        self.backlog, self.now, self.depth = Backlog(), 100.0, 0.0

    def look(self, part: float = 1.0) -> int:
        """Publishes into a part of the room; the room."""
        room = self.backlog.room(int(self.depth), self.now)
        jobs = int(room * part)
        self.backlog.published(jobs)
        self.depth += jobs
        return room

    def run(self, seconds: float, pace: float) -> float:
        """The longest time in which there was nothing to consume."""
        end, longest = self.now + seconds, 0.0
        while self.now < end:
            self.look()
            pause = self.backlog.pause()
            longest = max(longest, pause - self.depth / pace)
            self.depth = max(0.0, self.depth - pace * pause)
            self.now += pause
        return longest


@given(steps)
def test_it_never_asks_for_more_than_the_most(steps: list[tuple[int, float]]) -> None:
    queue = Queue()
    for consumed, part in steps:
        before = queue.depth
        room = queue.look(part)
        assert 0 <= room <= MOST
        assert before + room <= max(before, MOST)
        assert SOONEST <= queue.backlog.pause() <= LATEST
        queue.depth = max(0, queue.depth - consumed)
        queue.now += queue.backlog.pause()


@given(st.integers(1, 50))
def test_while_nobody_consumes_it_stays_at_the_least(looks: int) -> None:
    queue = Queue()
    for _ in range(looks):
        queue.look()
        queue.now += queue.backlog.pause()
    assert queue.depth == LEAST


def test_it_doubles_as_long_as_all_is_gone_at_the_next_look() -> None:
    queue = Queue()
    rooms = []
    for _ in range(10):
        rooms.append(queue.look())
        assert queue.backlog.pause() == SOONEST
        queue.depth = 0
        queue.now += SOONEST
    assert rooms == [2, 4, 8, 16, 32, 64, 128, 250, 250, 250]


def test_an_empty_queue_into_which_nothing_was_put_is_no_reason_to_grow() -> None:
    queue = Queue()
    assert [queue.look(part=0) for _ in range(10)] == [LEAST] * 10


@given(st.floats(8.0, 400.0))
def test_consumers_of_any_pace_are_kept_busy_with_no_more_than_they_need(pace: float) -> None:
    queue = Queue()
    queue.run(5.0, pace)  # until it has learned
    assert queue.run(20.0, pace) == 0.0
    assert queue.depth <= max(LEAST, AHEAD * pace) + 1


def test_it_shrinks_again_when_consumers_get_slow() -> None:
    queue = Queue()
    queue.run(5.0, 400.0)
    assert queue.depth > 50
    queue.run(600.0, 1.0)
    assert queue.depth <= LEAST


def test_while_there_is_nothing_to_publish_it_forgets_how_fast_the_last_mailing_went() -> None:
    queue = Queue()
    queue.run(5.0, 400.0)
    queue.depth = 0
    queue.look()
    queue.depth = 0
    for _ in range(10):
        queue.look(part=0)
        queue.now += LATEST
    assert queue.look() == LEAST


@given(st.integers(LEAST, MOST))
def test_what_is_too_much_already_gets_no_more(depth: int) -> None:
    assert Backlog().room(depth, 100.0) == 0
