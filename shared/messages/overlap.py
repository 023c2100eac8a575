"""Who of some clients is still to get another mailing."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.domain.message import OPEN_STATES
from shared.domain.state_sql import names
from shared.messages.fragments import AnyRow


def find_overlap(
    connection: Connection, parts: Sequence[int], client_ids: Sequence[int], *, is_test: bool
) -> Sequence[AnyRow]:
    """How many of them, by the mailing that runs and has a message for them which is open, most people first; the row
    without a mailing says how many in all. parts: those that have messages of mailings that run."""
    return connection.execute(_OVERLAP, {"parts": list(parts), "ids": list(client_ids), "is_test": is_test}).all()


# All that each of them has in a part, by the key that begins with the client; `offset 0`: nothing leads another way.
_OVERLAP = text(f"""
    with found as materialized (
        select client.id, m.mailing_id from unnest(cast(:ids as bigint[])) as client (id) cross join lateral (
            select mailing_id, status from messages where part = any(cast(:parts as int[])) and client_id = client.id
            offset 0) m
        where m.status::text in {names(OPEN_STATES)}
    ), running as (
        select found.id, found.mailing_id from found
        join mailings on mailings.id = found.mailing_id and deleted_at is null and finished_at is null
            and cancelled_at is null and paused_at is null and ends_at > now() and test = :is_test and trial_of is null
    )
    select mailing_id, count(distinct id) as people from running group by grouping sets ((mailing_id), ())
    order by people desc, mailing_id limit 101
""")
