"""Due messages are taken to be put on the broker."""

from sqlalchemy import Connection, TextClause, text

from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import GRACE_INTERVAL, PUT_BACK, WAITING, array, enter, mailing_with, openings_of


def take_messages(connection: Connection, entries: Entries, mailing_id: int, limit: int) -> list[int]:
    """Moves due messages of a mailing to `queued`, oldest first, at most `limit`; their ids, ascending.

    They are to be published after the commit. Those whose client's window is closed wait for its opening instead, and
    the next ones are looked at, until there have been enough.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one()
    if mailing.paused or mailing.over:
        return []
    due = _DUE if mailing.window_from is None else _DUE_BY_ZONE
    ids: list[int] = []
    looked_at, found = 0, True
    while found and len(ids) < limit and looked_at < max(limit, _LOOK):
        groups = connection.execute(due, {"mailing_id": mailing_id, "limit": limit - len(ids)}).all()
        openings = openings_of(mailing, {group.timezone for group in groups} - {None})
        ready = [message_id for group in groups if group.timezone not in openings for message_id in group.ids]
        for group in groups:
            state = MessageState.PENDING if group.timezone in openings else MessageState.QUEUED
            enter(entries, mailing_id, {group.status: len(group.ids)}, state)
            if state is MessageState.PENDING:
                connection.execute(PUT_BACK, {"ids": array(group.ids), "due_at": openings[group.timezone]})
        if ready:
            connection.execute(_QUEUE, {"ids": array(ready)})
        ids += ready
        number = sum(len(group.ids) for group in groups)
        looked_at += number
        found = number > len(ready)  # else these were all there are, or enough
    return sorted(ids)


_MAILING = mailing_with()
_LOOK = 10_000


def _due_rows(timezone: str) -> TextClause:
    """Locked, as one array of ids for each time zone and state: thousands of rows, and next to nothing to do for each.

    In the order of the index, which so is the only way to read them, whatever the statistics promise.
    """
    return text(f"""
        with job as materialized (
            select id, status, {timezone} as timezone
            from messages m where mailing_id = :mailing_id and due_at <= now() and {WAITING}
            order by due_at limit :limit for update skip locked
        )
        select timezone, status, array_agg(id) as ids from job group by timezone, status
    """)


_DUE = _due_rows("cast(null as text)")
_DUE_BY_ZONE = _due_rows("(select timezone from clients c where c.id = m.client_id)")
_QUEUE = text(
    f"update messages set status = 'queued', due_at = now() + {GRACE_INTERVAL} where id = any(cast(:ids as bigint[]))"
)
