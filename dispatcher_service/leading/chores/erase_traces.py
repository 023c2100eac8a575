"""What is left of clients who were erased goes within the hour."""

from collections.abc import Callable, Collection

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act
from shared.erasing import erase_lines, erase_shown, find_due, finish
from shared.logs import logger

ERASE_SLICE = 100
Erase = Callable[[Connection, Collection[int], int], int | None]


class EraseTraces(Chore):
    """Goes through the lines that files were refused, once for all erasures whose time has come."""

    name = "erase_traces"
    pause = 1800.0

    def work(self, step: Step) -> bool | None:
        due = step.acts.run(self.name, None, lambda connection, _: find_due(connection, ERASE_SLICE))
        if not due:
            return None if due is None else False
        phones = {one.phone for one in due if one.phone is not None}
        for erase in (erase_lines, erase_shown):
            if phones and not self._go_through(step, erase, phones):
                return None
        if step.acts.run(self.name, None, lambda connection, _: finish(connection, due)) is None:
            return None
        logger().info("traces_erased", client_ids=[one.client_id for one in due])
        return len(due) == ERASE_SLICE

    def _go_through(self, step: Step, erase: Erase, phones: Collection[int]) -> bool:
        """Slice by slice; False where it was set aside."""
        last: int | None = 0
        while last is not None:
            done = step.acts.run(self.name, None, _slice(erase, phones, last))
            if done is None:
                return False
            (last,) = done
        return True


def _slice(erase: Erase, phones: Collection[int], after: int) -> Act[tuple[int | None]]:
    return lambda connection, _: (erase(connection, phones, after),)
