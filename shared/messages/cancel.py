"""Messages that wait are cancelled because their client is gone."""

from collections.abc import Sequence

from sqlalchemy import Connection

from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import WAITING, array, closing, enter_counts


def cancel_client(connection: Connection, entries: Entries, client_id: int) -> None:
    """Cancels the waiting messages of a client who is being deleted; one on the wire is left to its dispatcher."""
    enter_counts(entries, connection.execute(_CANCEL_CLIENT, {"client_id": client_id, "state": MessageState.CANCELLED}))


_CANCEL_CLIENT = closing(f"""
    select m.id, m.status from mailings g cross join lateral (
        select id, status from messages where mailing_id = g.id and client_id = :client_id and {WAITING}
        for update skip locked) m
    where g.finished_at is null
""")


def cancel_locked(connection: Connection, entries: Entries, message_ids: Sequence[int]) -> None:
    """Messages without a client, whose rows the caller has locked."""
    enter_counts(
        entries, connection.execute(_CANCEL_LOCKED, {"ids": array(message_ids), "state": MessageState.CANCELLED})
    )


_CANCEL_LOCKED = closing("select id, status from messages where id = any(cast(:ids as bigint[]))")
