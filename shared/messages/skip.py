"""Messages that wait are skipped: there is a reason not to send them."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from shared import metrics
from shared.domain.reason import Reason
from shared.ledger.entries import Entries
from shared.messages.fragments import OF_CLIENTS, AnyRow, array, enter_counts, skipping
from shared.messages.parts import open_parts


def skip_clients(connection: Connection, entries: Entries, client_ids: Collection[int], reason: Reason) -> None:
    """Those of clients; one on the wire is left to its dispatcher."""
    if not client_ids:
        return
    for part in open_parts(connection):
        job = {"part": part, "client_ids": array(client_ids), "reason": reason}
        _enter(entries, connection.execute(_SKIP_CLIENTS, job).all(), reason)


_SKIP_CLIENTS = skipping(OF_CLIENTS)


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


metrics.begin(metrics.MESSAGES_LEFT_OUT, Reason)


def count_skipped(reason: Reason, number: int) -> None:
    """For those who watch; the ledger has them with their mailings."""
    if number:
        metrics.MESSAGES_LEFT_OUT.labels(reason).inc(number)
