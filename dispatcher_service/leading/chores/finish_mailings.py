"""A mailing is finished once all its messages are, by the ledger and by the rows, and is looked at no more."""

from collections.abc import Iterable

from sqlalchemy import Connection, text

from shared.domain.message import FINAL_STATES, OPEN_STATES
from shared.domain.state_sql import total
from shared.ledger.check import Account
from shared.ledger.entries import open_entries
from shared.ledger.fold import close_account
from shared.ledger.slot import Slot
from shared.logs import logger


def finish_mailings(connection: Connection, slot: Slot | int, accounts: Iterable[Account]) -> list[int]:
    """Finishes those that may be, and closes their accounts; their ids. accounts: as they were a moment ago.

    What is final stays so and nothing is added, so the rows need not be read again. It waits for nobody: a mailing that
    somebody has locked is left for the next time.
    """
    ids = sorted(account.mailing_id for account in accounts if account.may_finish)
    if not ids:
        return []
    with connection.begin(), open_entries(connection, slot) as entries:
        finished = sorted(connection.execute(_FINISH, {"ids": ids}))
        for mailing in finished:
            close_account(connection, entries, mailing.id, is_deleted=mailing.is_deleted)
    for mailing in finished:
        logger().info("mailing_finished", mailing_id=mailing.id)
    return [mailing.id for mailing in finished]


_FINISH = text(f"""
    with free as materialized (
        select id from mailings
        where id = any(cast(:ids as bigint[])) and finished_at is null
          and (launched_at is not null or cancelled_at is not null)
        order by id for no key update skip locked
    )
    update mailings m set finished_at = now() from free where m.id = free.id
      and audience = (select coalesce(sum({total(FINAL_STATES, "c")}), 0)
                      from mailing_counters c where c.mailing_id = m.id)
      and 0 = (select coalesce(sum({total(OPEN_STATES, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
    returning m.id, m.deleted_at is not null as is_deleted
""")
