"""The chores of the leading thread in turn, and what goes before them."""

from collections import deque
from collections.abc import Callable, Sequence

from dispatcher_service.leading.chores.chore import Chore, Step
from shared.clock import ticks

WHOLE_EVERY = 1.0
"""Seconds after which a round is not broken off any more, however much else there is to do."""


class Rounds:
    """Belongs to one thread."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        """chores: in the order in which they are done."""
        self._chores = deque(chores)
        self._whole_by = 0.0  # in ticks

    @property
    def is_late(self) -> bool:
        """Whether all of them are to be done now."""
        return ticks() >= self._whole_by

    def run(self, step: Step, is_wanted: Callable[[], bool]) -> bool:
        """Does the chores for which it is time; whether there is more to do at once.

        is_wanted: asked after each of them whether something else goes first. Those that are left begin the next time.
        """
        is_late, is_busy = self.is_late, False
        for _ in range(len(self._chores)):
            is_busy |= self._chores[0].run(step)
            self._chores.rotate(-1)
            if not is_late and is_wanted():
                return True
        self._whole_by = ticks() + WHOLE_EVERY
        return is_busy
