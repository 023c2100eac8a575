"""The order of the chores and of what goes before them."""

from collections.abc import Callable
from typing import cast

import pytest

from dispatcher_service.leading import rounds
from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Isolation
from dispatcher_service.leading.rounds import WHOLE_EVERY, Rounds

STEP = Step(cast("Isolation", None), ())


class Named:
    """A chore that only says that it was done."""

    def __init__(self, name: str, done: list[str]) -> None:
        self._name, self._done = name, done

    def run(self, _step: Step) -> bool:
        self._done.append(self._name)
        return False


def test_what_is_wanted_goes_before_the_chores_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is passed over, and once a second all have their turn."""
    done: list[str] = []
    now = 100.0
    monkeypatch.setattr(rounds, "ticks", lambda: now)
    made = Rounds([cast("Chore", Named(name, done)) for name in "abc"])

    def run(is_wanted: Callable[[], bool]) -> str:
        done.clear()
        made.run(STEP, is_wanted)
        return "".join(done)

    assert run(lambda: True) == "abc"  # the first time they are late
    assert run(lambda: False) == "abc"
    assert run(lambda: True) == "a"
    assert run(lambda: len(done) == 1) == "b"
    assert run(lambda: len(done) == 2) == "ca"
    now += WHOLE_EVERY
    assert run(lambda: True) == "bca"
