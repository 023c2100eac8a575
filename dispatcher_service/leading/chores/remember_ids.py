"""The broker remembers which ids were given, so that a database that was restored to before that is recognised."""

from collections.abc import Callable

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.settled_ids import SettledIds


class RememberIds(Chore):
    """Tells once a second how far they are."""

    name = "remember_ids"
    pause = 1.0

    def __init__(self, ids: SettledIds, remember: Callable[[int], object]) -> None:
        """remember: takes the highest id that was given for good."""
        super().__init__()
        self._ids = ids
        self._remember = remember
        self._told = 0

    def work(self, step: Step) -> bool | None:
        highest = step.acts.run(self.name, None, lambda connection, _: self._ids.look(connection))
        if highest is None:
            return None
        if highest > self._told:
            self._told = highest
            self._remember(highest)
        return False
