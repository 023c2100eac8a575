"""A mailing that is over, or cancelled, leaves no message waiting."""

from sqlalchemy import Connection, Row

from shared import metrics
from shared.domain.message import MessageState
from shared.ledger.entries import open_entries
from shared.messages.close import close_messages

CLOSE_SLICE = 5_000


def close_ended(connection: Connection, slot: int, mailing: Row[tuple[object, ...]]) -> int:
    """Closes the next slice of a mailing's waiting messages; how many."""
    state = MessageState.CANCELLED if mailing.cancelled else MessageState.EXPIRED
    with connection.begin(), open_entries(connection, slot) as entries:
        closed = close_messages(connection, entries, mailing.id, state, CLOSE_SLICE)
    metrics.MESSAGES_CLOSED.labels(state).inc(closed)
    return closed
