"""A mailing of which the provider refuses everything from the first message on is paused, before it costs them all."""

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act, Isolation
from shared import metrics
from shared.ledger.entries import Entries
from shared.logs import logger
from shared.standing import Halt, find_refused, halt

HALT_SLICE = 100


class HaltRefused(Chore):
    """Halts what the dispatchers have already stopped to call for: until it is, nothing of it may be claimed."""

    name = "halt_refused"
    pause = 1.0

    def work(self, step: Step) -> bool | None:
        found = step.acts.run(self.name, None, lambda connection, _: find_refused(connection, HALT_SLICE))
        if found is None:
            return None
        halts = {one.mailing_id: one for one in found}
        return self.in_turn(list(halts), lambda mailing_id: self._halt(step.acts, halts[mailing_id]))

    def _halt(self, acts: Isolation, found: Halt) -> bool | None:
        is_halted = acts.run(self.name, found.mailing_id, _halting(found))
        if is_halted:
            metrics.MAILINGS_HALTED.inc()
            logger().error("mailing_halted", mailing_id=found.mailing_id, provider_words=found.words)
        return is_halted


def _halting(found: Halt) -> Act[bool]:
    def act(connection: Connection, _entries: Entries) -> bool:
        return halt(connection, found)

    return act
