"""Messages that wait are timed anew after a change of the send window."""

from sqlalchemy import Connection, text


def retime_messages(connection: Connection, mailing_id: int, limit: int) -> int:
    """After a change of the send window: waiting messages become due, at most `limit`, to be timed anew; how many."""
    return connection.execute(_RETIME, {"mailing_id": mailing_id, "limit": limit}).rowcount


_RETIME = text("""
    with job as materialized (
        select id from messages where mailing_id = :mailing_id and status = 'pending' and due_at > now()
        order by due_at limit :limit for update skip locked
    )
    update messages m set due_at = now() from job where m.id = job.id
""")
