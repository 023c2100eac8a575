"""A mailing is finished once all its messages are, by the ledger and by the rows, and is looked at no more."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from dispatcher_service.leading.isolation import Isolation
from shared import standing
from shared.domain.apart import IS_HIDDEN
from shared.domain.message import FINAL_STATES, OPEN_STATES
from shared.domain.state_sql import total
from shared.ledger import breakdown
from shared.ledger.check import Account
from shared.ledger.entries import Entries
from shared.ledger.fold import close_accounts
from shared.logs import logger


def finish_mailings(acts: Isolation, accounts: Iterable[Account]) -> list[int]:
    """Finishes those that may be; their ids. accounts: as they were a moment ago.

    What is final stays so and nothing is added, so the rows need not be read again. One that somebody has locked, or
    whose counters somebody has locked, is left for the next time and keeps no other one waiting.
    """
    final = sorted(account.mailing_id for account in accounts if account.may_finish)
    # Whoever dies behind this counts again, to the same end; one that cannot be counted is finished all the same.
    acts.run_each("break_down", final, _break_down)
    finished = acts.run_each("finish_mailings", final, _finish)
    for mailing_id in finished:
        logger().info("mailing_finished", mailing_id=mailing_id)
    return finished


def _break_down(mailing_ids: Sequence[int], connection: Connection, _: Entries) -> Sequence[int]:
    breakdown.keep(connection, mailing_ids)
    return mailing_ids


def _finish(mailing_ids: Sequence[int], connection: Connection, entries: Entries) -> Sequence[int]:
    """Those that were finished by this, and whose account is closed."""
    rows = connection.execute(_FINISH, {"mailing_ids": list(mailing_ids)}).all()
    finished = sorted(row.id for row in rows)
    if finished:
        close_accounts(connection, entries, finished, [row.id for row in rows if row.is_hidden])
        standing.forget(connection, finished)
    return finished


_FINISH = text(f"""
    with free as materialized (
        select id from mailings
        where id = any(:mailing_ids) and finished_at is null
          and (launched_at is not null or cancelled_at is not null)
        order by id for no key update skip locked
    )
    update mailings m set finished_at = now() from free where m.id = free.id
      and audience = (select coalesce(sum({total(FINAL_STATES, "c")}), 0)
                      from mailing_counters c where c.mailing_id = m.id)
      and 0 = (select coalesce(sum({total(OPEN_STATES, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
    returning m.id, {IS_HIDDEN} as is_hidden
""")
