"""Messages whose jobs the broker may have lost become due again."""

from sqlalchemy import Connection, text

from shared.ledger.entries import Entries
from shared.messages.fragments import GRACE_INTERVAL, next_due
from shared.messages.parts import parts_of


def make_due(connection: Connection, entries: Entries) -> None:
    """What is queued becomes due at once: the broker may have lost it. What it has not lost is claimed only once."""
    for part, mailing_ids in parts_of(connection, connection.scalars(_HINTED).all()).items():
        for mailing_id in connection.scalars(_MAKE_DUE, {"part": part, "mailing_ids": mailing_ids}).all():
            entries.look(mailing_id)


# Whatever is queued is due within GRACE, and so is the hint of its mailing.
_HINTED = text(f"select distinct mailing_id from mailing_counters where due_at <= now() + {GRACE_INTERVAL}")

_QUEUED = next_due("id", "hinted.mailing_id", "status = 'queued' and due_at > now()")
_MAKE_DUE = text(f"""
    with job as materialized (
        select m.id from unnest(cast(:mailing_ids as bigint[])) as hinted (mailing_id)
        cross join lateral ({_QUEUED} for update skip locked) m
    ), moved as (
        update messages m set due_at = now() from job where m.part = :part and m.id = job.id returning m.mailing_id
    )
    select distinct mailing_id from moved
""")
