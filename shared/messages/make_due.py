"""Messages whose jobs the broker may have lost become due again."""

from sqlalchemy import Connection, text


def make_due(connection: Connection) -> None:
    """What is queued becomes due at once: the broker may have lost it. What it has not lost is claimed only once."""
    connection.execute(_MAKE_DUE)


_MAKE_DUE = text("""
    with job as materialized (
        select m.id from mailings g cross join lateral (
            select id from messages where mailing_id = g.id and status = 'queued' and due_at > now()
            order by due_at for update skip locked) m
        where g.finished_at is null
    )
    update messages m set due_at = now() from job where m.id = job.id
""")
