"""Messages that wait are skipped: there is a reason not to send them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from shared import metrics
from shared.domain.message import Reason
from shared.ledger.entries import Entries
from shared.messages.fragments import OF_CLIENT, AnyRow, array, enter_counts, skipping
from shared.messages.parts import open_parts


def skip_client(connection: Connection, entries: Entries, client_id: int, reason: Reason) -> None:
    """Those of a client; one on the wire is left to its dispatcher."""
    for part in open_parts(connection):
        job = {"part": part, "client_id": client_id, "reason": reason}
        _enter(entries, connection.execute(_SKIP_CLIENT, job).all(), reason)


_SKIP_CLIENT = skipping(OF_CLIENT)


def skip_locked(
    connection: Connection, entries: Entries, part: int, message_ids: Sequence[int], reason: Reason
) -> None:
    """Messages whose rows the caller has locked."""
    job = {"part": part, "ids": array(message_ids), "reason": reason}
    _enter(entries, connection.execute(_SKIP_LOCKED, job).all(), reason)


_SKIP_LOCKED = skipping("select id, status from messages where part = :part and id = any(cast(:ids as bigint[]))")


def _enter(entries: Entries, rows: Sequence[AnyRow], reason: Reason) -> None:
    enter_counts(entries, rows, reason=reason)
    count_skipped(reason, sum(row.number for row in rows if row.after == "skipped"))


def count_skipped(reason: Reason, number: int) -> None:
    """For those who watch; the ledger has them with their mailings."""
    if number:
        metrics.MESSAGES_LEFT_OUT.labels(reason).inc(number)
