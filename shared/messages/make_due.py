"""Messages whose jobs the broker may have lost become due again."""

from sqlalchemy import Connection, text

from shared.ledger.entries import Entries
from shared.messages.fragments import GRACE_INTERVAL


def make_due(connection: Connection, entries: Entries) -> None:
    """What is queued becomes due at once: the broker may have lost it. What it has not lost is claimed only once."""
    for mailing_id in connection.scalars(_MAKE_DUE).all():
        entries.look(mailing_id)


# Whatever is queued is due within GRACE, and so is the hint of its mailing.
_MAKE_DUE = text(f"""
    with hinted as materialized (
        select distinct mailing_id from mailing_counters where due_at <= now() + {GRACE_INTERVAL}
    ), job as materialized (
        select m.id from hinted cross join lateral (
            select id from messages where mailing_id = hinted.mailing_id and status = 'queued' and due_at > now()
            order by due_at for update skip locked) m
    ), moved as (
        update messages m set due_at = now() from job where m.id = job.id returning m.mailing_id
    )
    select distinct mailing_id from moved
""")
