"""A mailing is finished once all its messages are, and is looked at no more."""

from sqlalchemy import text

from dispatcher_service.leading.chores.chore import Chore, Step
from shared.logs import logger


class FinishMailings(Chore):
    """Finishes those that can be. One that somebody has locked is left for the next time."""

    name = "finish_mailings"
    pause = 0.1

    def work(self, step: Step) -> bool | None:
        finished = step.acts.run(self.name, None, lambda connection, _: connection.scalars(FINISH).all())
        for mailing_id in finished or ():
            logger().info("mailing_finished", mailing_id=mailing_id)
        return None if finished is None else False


# By the ledger: every message of the audience is in a final state.
FINISH = text("""
    with final as materialized (
        select id from mailings g
        where finished_at is null and (launched_at is not null or cancelled_at is not null)
          and audience = (select coalesce(sum(sent + failed + unknown + expired + cancelled), 0)
                          from mailing_counters c where c.mailing_id = g.id)
        for update skip locked
    )
    update mailings g set finished_at = now() from final where g.id = final.id
    returning g.id
""")
