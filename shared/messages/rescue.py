"""Messages whose lease ran out are freed from a dispatcher that is gone."""

from sqlalchemy import Connection

from shared.domain.message import Error
from shared.ledger.entries import Entries
from shared.messages.fragments import counted, enter_counts


def rescue_messages(connection: Connection, entries: Entries, attempts: int, limit: int) -> int:
    """Leases that ran out: the messages become `pending`, or `unknown` where there is no attempt left; how many.

    What became of such an attempt nobody knows, so it counts as one.
    """
    rows = connection.execute(_RESCUE, {"attempts": attempts, "limit": limit})
    return enter_counts(entries, rows, Error.LEASE_LOST)


_RESCUE = counted(
    """
        select id, status, attempts + 1 >= :attempts or (
            select cancelled_at is not null or ends_at <= now() from mailings where id = mailing_id) as last
        from messages where status = 'sending' and due_at <= now()
        order by due_at limit :limit for update skip locked
    """,
    f"""claim_id = null, attempts = m.attempts + 1, error = '{Error.LEASE_LOST}',
        status = case when job.last then 'unknown'::message_state else 'pending' end,
        due_at = case when job.last then null else now() end""",
)
