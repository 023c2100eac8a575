"""A mailing that is over, or cancelled, leaves no message waiting."""

from sqlalchemy import Connection, text

from dispatcher_service.leading.walk import Due
from shared import metrics
from shared.domain.message import MessageState
from shared.ledger.entries import open_entries
from shared.ledger.slot import Slot
from shared.messages.close import close_messages

CLOSE_SLICE = 5_000


def close_ended(connection: Connection, slot: Slot | int, mailing: Due) -> int:
    """Closes the next slice of a mailing's waiting messages; how many. After the last one the mailing is closed, and is
    not looked at again before something moves."""
    state = MessageState.CANCELLED if mailing.cancelled else MessageState.EXPIRED
    with connection.begin(), open_entries(connection, slot) as entries:
        closed = close_messages(connection, entries, mailing.id, state, CLOSE_SLICE)
        if not closed and connection.execute(_CLOSED, {"mailing_id": mailing.id}).rowcount:
            entries.look(mailing.id)  # it can be finished, unless some are on the wire
    metrics.MESSAGES_CLOSED.labels(state).inc(closed)
    return closed


# Whoever is about to put a message back leaves a hint. `launched_at`: it may be over before it was launched. A row that
# somebody holds can wait.
_CLOSED = text("""
    with job as materialized (
        select id from mailings where id = :mailing_id and closed_at is null and finished_at is null
          and (launched_at is not null or cancelled_at is not null)
          and not exists (select from messages where mailing_id = mailings.id
                          and status in ('pending', 'queued', 'retrying'))
        for update skip locked
    )
    update mailings set closed_at = now() from job where mailings.id = job.id
""")
