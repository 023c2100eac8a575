"""Messages of a mailing that have something in common to which no index leads: their error, or what receipts say.

Whoever asks waits for a moment and not for a million rows: what is found by then is a part, and the next one begins
where this one stopped to look.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, select, text
from sqlalchemy.orm import Session

from api_service.web.page import After, Listing
from shared.clock import ticks
from shared.database.models import Mailing, Message
from shared.domain.receipt import counted_under
from shared.ledger.stretches import SLICE

SECONDS = 1.0
"""For so long a part is looked for; a slice takes some 20 ms."""


class Common(NamedTuple):
    """error: why the last attempt failed, or why they are skipped. receipt: under which name theirs is counted. One of
    the two."""

    error: str | None = None
    receipt: str | None = None


def walk_messages(session: Session, mailing: Mailing, common: Common, part: After) -> Listing[Message]:
    """Those that have it in common, in the order of ids. A part may have fewer than it has room for, or none, and
    more may follow all the same."""
    if mailing.part is None or mailing.messages_removed_at is not None or mailing.last_message_id is None:
        return Listing([], part)
    found, after = _find(session.connection(), mailing, common, part)
    here = select(Message).where(Message.part == mailing.part, Message.id.in_(found)).order_by(Message.id)
    return Listing(session.scalars(here).all() if found else [], part, None, after)


def _find(connection: Connection, mailing: Mailing, common: Common, part: After) -> tuple[Sequence[int], int | None]:
    """Their ids, and behind which id to look on; None: that was all."""
    statement, about = _statement(common)
    last = mailing.last_message_id or 0
    place = {"part": mailing.part, "mailing_id": mailing.id}
    after, until = max(part.id, (mailing.first_message_id or 1) - 1), ticks() + SECONDS
    found: list[int] = []
    while after < last:
        end = min(after + SLICE, last)
        wanted = part.size + 1 - len(found)
        found += connection.scalars(statement, {**place, **about, "after": after, "end": end, "size": wanted})
        if len(found) > part.size:
            return found[: part.size], found[part.size - 1]
        after = end
        if ticks() >= until:
            break
    return found, after if after < last else None


def _statement(common: Common) -> tuple[TextClause, dict[str, object]]:
    if common.receipt is None:
        return _BY_ERROR, {"error": common.error}
    status, state = counted_under(common.receipt)
    return _BY_RECEIPT, {"status": status, "state": state}


def _slice(table: str, key: str, columns: str, condition: str) -> TextClause:
    """rows: of so many ids, so that it is no more of them whichever way is taken to read them."""
    return text(f"""
        with rows as materialized (
            select {key} as id, mailing_id, {columns} from {table}
            where part = :part and {key} > :after and {key} <= :end
        )
        select id from rows where mailing_id = :mailing_id and {condition} order by id limit :size
    """)


_BY_ERROR = _slice("messages", "id", "error, status", "error = :error and status <> 'sent'")
_BY_RECEIPT = _slice(
    "receipts", "message_id", "status, state",
    "status = cast(:status as message_state) and state = cast(:state as receipt_state)",
)  # fmt: skip
