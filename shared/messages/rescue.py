"""Messages whose lease ran out are freed from a dispatcher that is gone."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, text

from shared.domain.message import Error
from shared.ledger.entries import Entries
from shared.messages.fragments import counted, enter_counts


def mailings_to_rescue(connection: Connection, limit: int, left_out: Collection[int]) -> Sequence[int]:
    """The mailings of messages whose lease ran out, of the oldest `limit` of these messages. left_out: mailings that
    are not to be looked at."""
    return connection.scalars(_LOST, {"limit": limit, "left_out": list(left_out)}).all()


# With sums, which no index knows: else the planner may prefer that of the mailings, with all messages of one.
_LOST = text("""
    select distinct mailing_id from (
        select mailing_id from messages where status = 'sending' and due_at <= now()
          and mailing_id + 0 <> all(cast(:left_out as bigint[]))
        order by due_at limit :limit
    ) lost
    order by mailing_id
""")


def rescue_messages(
    connection: Connection, entries: Entries, attempts: int, limit: int, mailing_id: int | None = None
) -> int:
    """Leases that ran out, of one mailing or of all: the messages become `pending`, or `unknown` where there is no
    attempt left; how many.

    What became of such an attempt nobody knows, so it counts as one.
    """
    rows = connection.execute(_RESCUE, {"attempts": attempts, "limit": limit, "mailing_id": mailing_id})
    return enter_counts(entries, rows, Error.LEASE_LOST)


_RESCUE = counted(
    """
        select id, status, attempts + 1 >= :attempts or (
            select cancelled_at is not null or ends_at <= now() from mailings where id = mailing_id) as last
        from messages where status = 'sending' and due_at <= now()
          and (cast(:mailing_id as bigint) is null or mailing_id + 0 = cast(:mailing_id as bigint))
        order by due_at limit :limit for update skip locked
    """,
    f"""claim_id = null, attempts = m.attempts + 1, error = '{Error.LEASE_LOST}',
        status = case when job.last then 'unknown'::message_state else 'pending' end,
        due_at = case when job.last then null else now() end""",
)
