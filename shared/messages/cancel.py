"""Messages that wait are cancelled because their client is gone."""

from collections.abc import Sequence

from sqlalchemy import Connection

from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import OF_CLIENT, array, closing, enter_counts
from shared.messages.parts import open_parts


def cancel_client(connection: Connection, entries: Entries, client_id: int) -> None:
    """Cancels the waiting messages of a client who is being deleted; one on the wire is left to its dispatcher."""
    for part in open_parts(connection):
        job = {"part": part, "client_id": client_id, "state": MessageState.CANCELLED}
        enter_counts(entries, connection.execute(_CANCEL_CLIENT, job))


_CANCEL_CLIENT = closing(OF_CLIENT)


def cancel_locked(connection: Connection, entries: Entries, part: int | None, message_ids: Sequence[int]) -> None:
    """Messages without a client, whose rows the caller has locked."""
    job = {"part": part, "ids": array(message_ids), "state": MessageState.CANCELLED}
    enter_counts(entries, connection.execute(_CANCEL_LOCKED, job))


_CANCEL_LOCKED = closing("select id, status from messages where part = :part and id = any(cast(:ids as bigint[]))")
