"""What was suppressed is applied a second time, for clients who were being written meanwhile."""

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from shared import metrics
from shared.domain.reason import Reason
from shared.ledger.entries import Entries
from shared.logs import logger
from shared.messages.skip import skip_clients
from shared.suppression import Again, apply_again

SUPPRESS_SLICE = 1_000


class SuppressAgain(Chore):
    """Looks once more, seconds after the answer, who has the phones that were suppressed, and forgets the phones."""

    name = "suppress_again"
    pause = 1.0

    def work(self, step: Step) -> bool | None:
        done = step.acts.run(self.name, None, _apply)
        if done is None:
            return None
        if done.late:
            metrics.SUPPRESSED_LATE.inc(len(done.late))
            logger().warning("suppressed_late", client_ids=done.late[:100], count=len(done.late))
        return done.number == SUPPRESS_SLICE


def _apply(connection: Connection, entries: Entries) -> Again:
    done = apply_again(connection, SUPPRESS_SLICE)
    skip_clients(connection, entries, done.late, Reason.OPTED_OUT)
    return done
