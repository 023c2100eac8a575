"""Messages that wait get their last state when their mailing is over."""

from sqlalchemy import Connection

from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import WAITING, closing, enter_counts


def close_messages(connection: Connection, entries: Entries, mailing_id: int, state: MessageState, limit: int) -> int:
    """Gives waiting messages of a mailing that is over their last state, `expired` or `cancelled`; how many."""
    return enter_counts(entries, connection.execute(_CLOSE, {"mailing_id": mailing_id, "state": state, "limit": limit}))


_CLOSE = closing(f"""
    select id, status from messages where mailing_id = :mailing_id and {WAITING}
    order by due_at limit :limit for update skip locked
""")
