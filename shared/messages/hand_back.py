"""Messages whose job cannot be carried out now are given back."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.ledger.entries import Entries
from shared.messages.fragments import lock_job, put_back


def hand_back(connection: Connection, entries: Entries, mailing_id: int, message_ids: Sequence[int]) -> None:
    """Messages whose job cannot be carried out now: `pending`, and due at once."""
    rows = lock_job(connection, mailing_id, message_ids)
    put_back(connection, entries, mailing_id, rows, connection.scalar(_NOW))


_NOW = text("select now()")
