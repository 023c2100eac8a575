"""A mailing is finished once all its messages are, and is looked at no more."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.isolation import Isolation
from shared.ledger.entries import Entries
from shared.ledger.fold import close_account
from shared.logs import logger


def finish_mailing(acts: Isolation, mailing_id: int) -> None:
    """If it can be. One that somebody has locked is left for the next time: its hint comes again."""
    if acts.run("finish_mailings", mailing_id, lambda connection, entries: finish(connection, entries, mailing_id)):
        logger().info("mailing_finished", mailing_id=mailing_id)


def finish(connection: Connection, entries: Entries, mailing_id: int) -> bool:
    """Whether it was finished by this, and its accounts are closed."""
    row = connection.execute(_FINISH, {"mailing_id": mailing_id}).one_or_none()
    if row is None:
        return False
    close_account(connection, entries, mailing_id, is_deleted=row.is_deleted)
    return True


# By the ledger: every message of the audience is in a final state.
_FINISH = text("""
    with final as materialized (
        select id from mailings g
        where id = :mailing_id and finished_at is null and (launched_at is not null or cancelled_at is not null)
          and audience = (select coalesce(sum(sent + failed + unknown + expired + cancelled), 0)
                          from mailing_counters c where c.mailing_id = g.id)
        for update skip locked
    )
    update mailings g set finished_at = now() from final where g.id = final.id
    returning g.deleted_at is not null as is_deleted
""")
