"""What waits because of an outage is due when the outage is over."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import Error
from shared.ledger.entries import Entries
from shared.messages.fragments import next_due
from shared.messages.parts import place_of

SLICE = 2_000


class Woken(NamedTuple):
    """A slice. last: when the last of its messages was to be due; None: it was the last slice."""

    number: int
    last: datetime | None


def wake_waiting(
    connection: Connection, entries: Entries, mailing_id: int, *, after: datetime | None, within: float
) -> Woken:
    """Makes due what a call that was not held against it has left on a rung, at most SLICE messages.

    after: where the last slice ended, so that no slice reads again what it is not about. within: no rung is longer than
    so many seconds.
    """
    job = {**place_of(connection, mailing_id)._asdict(), "after": after, "within": within, "limit": SLICE}
    number, last = connection.execute(_WAKE, job).one()
    woken = Woken(number, last if number == SLICE else None)
    if number:
        entries.look(mailing_id)
    return woken


_OF_OUTAGE = next_due(
    "id, due_at",
    ":mailing_id",
    f"""due_at > now() and due_at >= coalesce(cast(:after as timestamptz), now())
        and due_at <= now() + :within * interval '1 second' and error = '{Error.PROVIDER_DOWN}'""",
    limit=":limit",
    lock="for update skip locked",
)
_WAKE = text(f"""
    with job as materialized ({_OF_OUTAGE}), moved as (
        update messages m set due_at = now() from job where m.part = :part and m.id = job.id
    )
    select count(*), max(due_at) from job
""")
