"""A mailing is finished once all its messages are, and is looked at no more."""

from sqlalchemy import Connection, text

from shared.logs import logger


def finish_mailings(connection: Connection) -> None:
    """Finishes those that can be."""
    with connection.begin():
        finished = connection.scalars(FINISH).all()
    for mailing_id in finished:
        logger().info("mailing_finished", mailing_id=mailing_id)


# By the ledger: every message of the audience is in a final state.
FINISH = text("""
    update mailings g set finished_at = now()
    where finished_at is null and (launched_at is not null or cancelled_at is not null)
      and audience = (select coalesce(sum(sent + failed + unknown + expired + cancelled), 0)
                      from mailing_counters c where c.mailing_id = g.id)
    returning id
""")
