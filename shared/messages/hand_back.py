"""Messages whose job cannot be carried out now are given back."""

from collections.abc import Sequence

from sqlalchemy import Connection

from shared.ledger.entries import AT_ONCE, Entries
from shared.messages.fragments import lock_job, put_back
from shared.messages.parts import part_of


def hand_back(connection: Connection, entries: Entries, mailing_id: int, message_ids: Sequence[int]) -> None:
    """Messages whose job cannot be carried out now: `pending`, and due at once."""
    part = part_of(connection, mailing_id)
    rows = lock_job(connection, mailing_id, part, message_ids)
    put_back(connection, entries, mailing_id, part, rows, AT_ONCE)
