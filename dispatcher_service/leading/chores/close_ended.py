"""A mailing that is over, or cancelled, leaves no message waiting."""

from sqlalchemy import Connection

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import HeldUp, Isolation
from shared import metrics
from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.close import close_messages, has_waiting

CLOSE_SLICE = 5_000


class CloseEnded(Chore):
    """Gives the waiting messages of mailings that have ended their last state, slice by slice."""

    name = "close_ended"
    pause = 0.1

    def work(self, step: Step) -> bool:
        states = {
            mailing.id: MessageState.CANCELLED if mailing.cancelled else MessageState.EXPIRED
            for mailing in step.mailings
            if mailing.over or mailing.cancelled
        }
        return self.in_turn(list(states), lambda mailing_id: self._close(step.acts, mailing_id, states[mailing_id]))

    def _close(self, acts: Isolation, mailing_id: int, state: MessageState) -> int | None:
        def close(connection: Connection, entries: Entries) -> int:
            closed = close_messages(connection, entries, mailing_id, state, CLOSE_SLICE)
            if not closed and has_waiting(connection, mailing_id):
                raise HeldUp
            return closed

        closed = acts.run(self.name, mailing_id, close)
        metrics.MESSAGES_CLOSED.labels(state).inc(closed or 0)
        return closed
