"""A mailing is finished once all its messages are, by the ledger and by the rows, and is looked at no more."""

from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection, text

from dispatcher_service.leading.isolation import Isolation
from shared import standing
from shared.domain.apart import IS_HIDDEN
from shared.domain.message import FINAL_STATES, OPEN_STATES
from shared.domain.state_sql import total
from shared.ledger import breakdown
from shared.ledger.check import Account
from shared.ledger.entries import Entries
from shared.ledger.fold import close_account
from shared.logs import logger


def finish_mailings(acts: Isolation, accounts: Iterable[Account]) -> list[int]:
    """Finishes those that may be, each in an act of its own; their ids. accounts: as they were a moment ago.

    What is final stays so and nothing is added, so the rows need not be read again. One that somebody has locked, or
    whose counters somebody has locked, is left for the next time and keeps no other one waiting.
    """
    finished = []
    for mailing_id in sorted(account.mailing_id for account in accounts if account.may_finish):
        # Whoever dies behind this counts again, to the same end; one that cannot be counted is finished all the same.
        acts.run("break_down", mailing_id, partial(_break_down, mailing_id))
        if acts.run("finish_mailings", mailing_id, partial(_finish, mailing_id)):
            logger().info("mailing_finished", mailing_id=mailing_id)
            finished.append(mailing_id)
    return finished


def _break_down(mailing_id: int, connection: Connection, _: Entries) -> bool:
    return breakdown.keep(connection, mailing_id)


def _finish(mailing_id: int, connection: Connection, entries: Entries) -> bool:
    """Whether it was finished by this, and its account is closed."""
    mailing = connection.execute(_FINISH, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None:
        return False
    close_account(connection, entries, mailing_id, is_hidden=mailing.is_hidden)
    standing.forget(connection, mailing_id)
    return True


_FINISH = text(f"""
    with free as materialized (
        select id from mailings
        where id = :mailing_id and finished_at is null
          and (launched_at is not null or cancelled_at is not null)
        for no key update skip locked
    )
    update mailings m set finished_at = now() from free where m.id = free.id
      and audience = (select coalesce(sum({total(FINAL_STATES, "c")}), 0)
                      from mailing_counters c where c.mailing_id = m.id)
      and 0 = (select coalesce(sum({total(OPEN_STATES, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
    returning {IS_HIDDEN} as is_hidden
""")
