"""Messages that wait are timed anew after a change of the send window."""

from sqlalchemy import Connection, text

from shared.ledger.entries import Entries
from shared.messages.fragments import next_due
from shared.messages.parts import place_of


def retime_messages(connection: Connection, entries: Entries, mailing_id: int, limit: int) -> int:
    """After a change of the send window: waiting messages become due, at most `limit`, to be timed anew; how many."""
    job = {**place_of(connection, mailing_id)._asdict(), "limit": limit}
    number = connection.execute(_RETIME, job).rowcount
    if number:
        entries.look(mailing_id)
    return number


_LATER = next_due("id", ":mailing_id", "status = 'pending' and due_at > now()")
_RETIME = text(f"""
    with job as materialized ({_LATER} limit :limit for update skip locked)
    update messages m set due_at = now() from job where m.part = :part and m.id = job.id
""")
