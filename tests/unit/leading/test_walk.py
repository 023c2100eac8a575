"""How often the leader looks, where a look costs much."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatcher_service.leading import walk
from dispatcher_service.leading.walk import CHEAP, LATEST, Look, Walk


class Acts:
    """Runs looks that take so many seconds."""

    def __init__(self, clock: list[float], cost: float) -> None:
        self._clock, self._cost = clock, cost
        self.looks = 0

    def run(self, _chore: str, _mailing_id: None, _act: Callable[..., Any]) -> Look:
        self._clock[0] += self._cost
        self.looks += 1
        return Look(next_start=float(self.looks))


@pytest.mark.parametrize(("cost", "seconds", "looks"), [
    (CHEAP / 10, 1.0, 100),
    (0.05, 5.0, 9),
    (2.0, 30.0, 10),
])  # fmt: skip
def test_looks_that_cost_much_are_seldom(
    monkeypatch: pytest.MonkeyPatch, cost: float, seconds: float, looks: int
) -> None:
    """A step every hundredth of a second."""
    clock = [0.0]
    monkeypatch.setattr(walk, "ticks", lambda: clock[0])
    acts, looker = Acts(clock, cost), Walk()
    longest = since = 0.0
    while clock[0] < seconds:
        before = acts.looks
        found = looker.look(acts)  # type: ignore[arg-type]
        assert found.next_start == acts.looks, "what the last look found"
        assert looker.has_looked == (acts.looks > before)
        left = looker.until_next()
        assert left is None if acts.looks > before else left is not None and left <= LATEST
        if acts.looks > before:
            longest, since = max(longest, clock[0] - cost - since), clock[0]
        clock[0] += 0.01
    assert acts.looks == pytest.approx(looks, rel=0.2)
    assert longest <= LATEST + 0.02


def test_nobody_comes_before_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it took to find what is due, and the answer to come."""
    clock = [100.0]

    def passes(seconds: float, answer: Any) -> Callable[[Any], Any]:
        def ask(_connection: Any) -> Any:
            clock[0] += seconds
            return answer

        return ask

    monkeypatch.setattr(walk, "ticks", lambda: clock[0])
    monkeypatch.setattr(walk, "due_mailings", passes(0.05, ()))
    monkeypatch.setattr(walk, "until_next_start", passes(0.01, 1.0))
    found = walk.look(None)  # type: ignore[arg-type]
    assert found.next_start is not None
    assert 100.05 + 1.0 <= found.next_start <= 100.06 + 1.0


def test_a_single_look_that_costs_much_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(walk, "ticks", lambda: clock[0])
    looker = Walk()
    for cost in (CHEAP / 10, 10 * CHEAP, CHEAP / 10, 10 * CHEAP):
        looker.look(Acts(clock, cost))  # type: ignore[arg-type]
        assert looker.has_looked
    looker.look(Acts(clock, 10 * CHEAP))  # type: ignore[arg-type]
    assert looker.has_looked, "the second in a row"
    looker.look(Acts(clock, CHEAP))  # type: ignore[arg-type]
    assert not looker.has_looked
