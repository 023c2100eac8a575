"""A mailing that is over, or cancelled, leaves no message waiting."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import HeldUp, Isolation
from dispatcher_service.leading.walk import Mailing
from shared import metrics
from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.close import close_messages
from shared.messages.waiting import has_waiting

CLOSE_SLICE = 5_000


class CloseEnded(Chore):
    """Gives the waiting messages of mailings that have ended their last state, slice by slice. After the last one the
    mailing is closed, and is not looked at again before something moves."""

    name = "close_ended"
    pause = 0.1

    def __init__(self) -> None:
        super().__init__()
        metrics.begin(metrics.MESSAGES_CLOSED, (MessageState.EXPIRED, MessageState.CANCELLED))

    def work(self, step: Step) -> bool:
        ended = {mailing.id: mailing for mailing in step.mailings if mailing.is_to_close}
        return self.in_turn(list(ended), lambda mailing_id: self._close(step.acts, ended[mailing_id]))

    def _close(self, acts: Isolation, mailing: Mailing) -> int | None:
        closed = acts.run(self.name, mailing.id, lambda connection, entries: close_slice(connection, entries, mailing))
        metrics.MESSAGES_CLOSED.labels(_last_state(mailing)).inc(closed or 0)
        return closed


def close_slice(connection: Connection, entries: Entries, mailing: Mailing) -> int:
    """How many messages; 0: the mailing is closed. Raises HeldUp where others have locked all that are left."""
    closed = close_messages(connection, entries, mailing.id, _last_state(mailing), CLOSE_SLICE)
    if not closed:
        if has_waiting(connection, mailing.id):
            raise HeldUp
        if connection.execute(_CLOSE, {"mailing_id": mailing.id}).rowcount:
            entries.look(mailing.id)  # it can be finished, unless some are on the wire
    return closed


def _last_state(mailing: Mailing) -> MessageState:
    return MessageState.CANCELLED if mailing.cancelled else MessageState.EXPIRED


# Whoever puts a message back afterwards leaves a hint. It may be over before all of it is launched.
_CLOSE = text("""
    update mailings set closed_at = now()
    where id = :mailing_id and closed_at is null and finished_at is null
      and (launched_at is not null or cancelled_at is not null)
""")
