"""A mailing is finished once all its messages are, and is looked at no more."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.ledger.entries import open_entries
from shared.ledger.fold import close_accounts
from shared.ledger.slot import Slot
from shared.logs import logger


def finish_mailings(connection: Connection, slot: Slot | int, candidates: Sequence[int]) -> list[int]:
    """Finishes those of the candidates that can be; which they are."""
    if not candidates:
        return []
    with connection.begin(), open_entries(connection, slot) as entries:
        rows = connection.execute(FINISH, {"candidates": list(candidates)}).all()
        finished = [row.id for row in rows]
        close_accounts(connection, entries, finished, [row.id for row in rows if row.is_deleted])
    for mailing_id in finished:
        logger().info("mailing_finished", mailing_id=mailing_id)
    return finished


# By the ledger: every message of the audience is in a final state.
FINISH = text("""
    update mailings g set finished_at = now()
    where id = any(:candidates) and finished_at is null and (launched_at is not null or cancelled_at is not null)
      and audience = (select coalesce(sum(sent + failed + unknown + expired + cancelled), 0)
                      from mailing_counters c where c.mailing_id = g.id)
    returning id, deleted_at is not null as is_deleted
""")
