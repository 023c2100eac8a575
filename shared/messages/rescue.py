"""Messages whose lease ran out are freed from a dispatcher that is gone."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import Error
from shared.domain.state_sql import IS_HELD
from shared.ledger.entries import Entries
from shared.messages.fragments import THEIR_LANE, array, counted, enter_counts
from shared.messages.parts import open_parts


class Lost(NamedTuple):
    """Messages of one mailing whose lease ran out, and the part that they are in."""

    part: int
    message_ids: Sequence[int]


def find_lost(connection: Connection, limit: int, left_out: Collection[int] = ()) -> Mapping[int, Lost]:
    """Messages whose lease ran out, by mailing: the oldest, at most `limit`. left_out: mailings that are not looked
    at."""
    connection.execute(_IN_ORDER)
    found = {"parts": array(open_parts(connection)), "limit": limit, "left_out": array(left_out)}
    return {row.mailing_id: Lost(row.part, row.ids) for row in connection.execute(_LOST, found)}


# What it takes for few it would collect and sort, and it may be all that was on the wire.
_IN_ORDER = text("set local enable_bitmapscan = off")
_LOST = text(f"""
    with lost as materialized (
        select part, id, mailing_id from messages
        where part = any(cast(:parts as integer[])) and {IS_HELD} and due_at <= now()
          and mailing_id <> all(cast(:left_out as bigint[]))
        order by due_at limit :limit
    )
    select part, mailing_id, array_agg(id) as ids from lost group by part, mailing_id order by mailing_id
""")


def rescue_messages(connection: Connection, entries: Entries, attempts: int, lost: Lost) -> int:
    """Frees those whose lease ran out: they become `pending`, or `unknown` where there is no attempt left; how many.

    What became of such an attempt nobody knows: it counts as a call, and one that the provider may have taken which the
    claim has written down. No other one gets the message from now on.
    """
    job = {"attempts": attempts, "part": lost.part, "ids": array(lost.message_ids)}
    rows = connection.execute(_RESCUE, job)
    return enter_counts(entries, rows, Error.LEASE_LOST)


_RESCUE = counted(
    """
        select m.id, m.status, m.attempts + 1 >= :attempts or (
            select cancelled_at is not null or ends_at <= now() from mailings where id = m.mailing_id) as last
        from unnest(cast(:ids as bigint[])) as job (id)
        cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
        where m.status = 'sending' and m.due_at <= now()
    """,
    f"""claim_id = null, attempts = m.attempts + 1, calls = m.calls + 1, error = '{Error.LEASE_LOST}',
        maybe_delivered = true, lane = {THEIR_LANE},
        first_called_at = coalesce(m.first_called_at, now()), last_called_at = now(),
        status = case when job.last then 'unknown'::message_state else 'pending' end,
        due_at = case when job.last then null else now() end""",
    f"""insert into attempts (message_id, part, number, at, error)
        select id, :part, attempts, now(), '{Error.LEASE_LOST}' from moved on conflict do nothing""",
)
