"""Messages that are given up while their part stays are deleted, slice by slice."""

from dispatcher_service.leading.chores.chore import SPELL, Chore, Step
from shared import metrics
from shared.clock import ticks
from shared.logs import logger
from shared.retention.leftovers import Leftover, delete_slice, next_leftover


class DeleteLeftovers(Chore):
    """One mailing after the other, and each in acts of its own."""

    name = "delete_leftovers"
    pause = 60.0

    def work(self, step: Step) -> bool | None:
        until = ticks() + SPELL
        while ticks() < until:
            found = step.acts.run(self.name, None, lambda connection, _: (next_leftover(connection),))
            if found is None:
                return None
            [leftover] = found
            if leftover is None or not self._delete(step, leftover):
                return False
        return True

    def _delete(self, step: Step, left: Leftover) -> bool:
        """A slice; whether it was."""
        done = step.acts.run(self.name, left.mailing_id, lambda connection, _: delete_slice(connection, left))
        if done is None:
            return False
        deleted, rest = done
        metrics.REMOVED.labels("messages").inc(deleted)
        if rest is None:
            logger().info("removed", what="messages", mailing_id=left.mailing_id, part=left.part)
        return True
