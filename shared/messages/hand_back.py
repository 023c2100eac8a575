"""Messages whose job cannot be carried out now are given back."""

from collections.abc import Sequence

from sqlalchemy import Connection

from shared.ledger.entries import AT_ONCE, Entries
from shared.messages.fragments import lock_job, put_back
from shared.messages.parts import place_of


def hand_back(connection: Connection, entries: Entries, mailing_id: int, message_ids: Sequence[int]) -> None:
    """Messages whose job cannot be carried out now: `pending`, and due at once."""
    place = place_of(connection, mailing_id)
    put_back(connection, entries, place, lock_job(connection, place, message_ids), AT_ONCE)
