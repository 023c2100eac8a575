"""Messages that wait get their last state when their mailing is over."""

from sqlalchemy import Connection

from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import closing, enter_counts, next_due
from shared.messages.parts import place_of


def close_messages(connection: Connection, entries: Entries, mailing_id: int, state: MessageState, limit: int) -> int:
    """Gives waiting messages of a mailing that is over their last state, `expired` or `cancelled`; how many."""
    job = {**place_of(connection, mailing_id)._asdict(), "state": state, "limit": limit}
    return enter_counts(entries, connection.execute(_CLOSE, job))


_CLOSE = closing(next_due("id, status", ":mailing_id", limit=":limit", lock="for update skip locked"))
