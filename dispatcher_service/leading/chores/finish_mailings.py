"""A mailing is finished once all its messages are, by the ledger and by the rows, and is looked at no more."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, text

from shared.domain.message import FINAL_STATES, OPEN_STATES
from shared.domain.state_sql import total
from shared.ledger.check import Account
from shared.ledger.names import IS_FINAL
from shared.logs import logger

MOST = 500
"""Mailings that are looked at together."""


def ready_mailings(connection: Connection, left_out: Collection[int] = ()) -> Sequence[tuple[int, int]]:
    """Mailings whose counters say that all is final: ids and audiences, small ones first, at most MOST.

    Only those of which a message became final within the last quarter of an hour, or which have none: so a look costs
    the same whatever else waits. Any other one is found when its turn in the check of the ledger comes.
    """
    with connection.begin():
        rows = connection.execute(_READY, {"left_out": list(left_out), "most": MOST})
        return [(row.id, row.audience) for row in rows]


_COUNTERS_ARE_FINAL = f"""
    audience = (select coalesce(sum({total(FINAL_STATES, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
    and 0 = (select coalesce(sum({total(OPEN_STATES, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
"""
_UNFINISHED = "finished_at is null and (launched_at is not null or cancelled_at is not null)"

_READY = text(f"""
    with recent (id) as materialized (
        select distinct mailing_id from tallies
        where quarter >= date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00+00') - interval '15 minutes'
          and {IS_FINAL}
        union
        select id from mailings where audience = 0 and {_UNFINISHED}
    )
    select m.id, m.audience from recent join mailings m on m.id = recent.id
    where {_UNFINISHED} and m.id <> all(cast(:left_out as bigint[])) and {_COUNTERS_ARE_FINAL}
    order by m.audience, m.id limit :most
""")


def finish_mailings(connection: Connection, accounts: Iterable[Account]) -> list[int]:
    """Finishes those that may be; their ids. accounts: as they were a moment ago.

    What is final stays so and nothing is added, so the rows need not be read again. It waits for nobody: a mailing that
    somebody has locked is left for the next time.
    """
    ids = sorted(account.mailing_id for account in accounts if account.may_finish)
    if not ids:
        return []
    with connection.begin():
        finished = list(connection.scalars(_FINISH, {"ids": ids}))
    for mailing_id in finished:
        logger().info("mailing_finished", mailing_id=mailing_id)
    return finished


_FINISH = text(f"""
    with free as materialized (
        select id from mailings where id = any(cast(:ids as bigint[])) and {_UNFINISHED}
        order by id for no key update skip locked
    )
    update mailings m set finished_at = now() from free where m.id = free.id and {_COUNTERS_ARE_FINAL}
    returning m.id
""")
