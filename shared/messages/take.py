"""Due messages are taken to be put on the broker."""

from sqlalchemy import Connection, TextClause, text

from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import (
    GRACE,
    GRACE_INTERVAL,
    PUT_BACK,
    array,
    enter,
    mailing_with,
    next_due,
    openings_of,
)
from shared.messages.parts import place_of


def take_messages(connection: Connection, entries: Entries, mailing_id: int, limit: int) -> list[int]:
    """Moves due messages of a mailing to `queued`, oldest first, at most `limit`; their ids, ascending.

    They are to be published after the commit. Those whose client's window is closed wait for its opening instead, and
    the next ones are looked at, until there have been enough.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one()
    if mailing.paused or mailing.over or mailing.part is None:
        return []
    job = {"mailing_id": mailing_id, "part": mailing.part}
    due = _DUE if mailing.window_from is None else _DUE_BY_ZONE
    ids: list[int] = []
    looked_at, found = 0, True
    while found and len(ids) < limit and looked_at < max(limit, _LOOK):
        groups = connection.execute(due, {**job, "limit": limit - len(ids)}).all()
        openings = openings_of(mailing, {group.timezone for group in groups} - {None})
        ready = [message_id for group in groups if group.timezone not in openings for message_id in group.ids]
        for group in groups:
            found_as = {group.status: len(group.ids)}
            if opening := openings.get(group.timezone):
                due_in = opening - mailing.now
                connection.execute(PUT_BACK, {"part": mailing.part, "ids": array(group.ids), "due_in": due_in})
                enter(entries, mailing_id, found_as, MessageState.PENDING, due_in=due_in)
            else:
                enter(entries, mailing_id, found_as, MessageState.QUEUED, due_in=GRACE)
        if ready:
            connection.execute(_QUEUE, {"part": mailing.part, "ids": array(ready)})
        ids += ready
        number = sum(len(group.ids) for group in groups)
        looked_at += number
        found = number > len(ready)  # else these were all there are, or enough
    return sorted(ids)


def is_all_locked(connection: Connection, mailing_id: int) -> bool:
    """Whether messages of a mailing are due, and somebody else has locked every one of them."""
    return bool(connection.scalar(_IS_ALL_LOCKED, place_of(connection, mailing_id)._asdict()))


_MAILING = mailing_with()
_LOOK = 10_000


def _due_rows(timezone: str) -> TextClause:
    """Locked, as one array of ids for each time zone and state: thousands of rows, and next to nothing to do for
    each."""
    columns = f"id, status, {timezone} as timezone"
    return text(f"""
        with job as materialized (
            {next_due(columns, ":mailing_id", "due_at <= now()")} limit :limit for update skip locked
        )
        select timezone, status, array_agg(id) as ids from job group by timezone, status
    """)


_DUE = _due_rows("cast(null as text)")
_DUE_BY_ZONE = _due_rows("(select timezone from clients c where c.id = m.client_id)")
_QUEUE = text(f"""
    update messages set status = 'queued', due_at = now() + {GRACE_INTERVAL}
    where part = :part and id = any(cast(:ids as bigint[]))
""")

_FIRST_DUE = f"{next_due('id', ':mailing_id', 'due_at <= now()')} limit 1"
_IS_ALL_LOCKED = text(f"""
    with due as materialized ({_FIRST_DUE}),
    free as materialized ({_FIRST_DUE} for update skip locked)
    select exists (select from due) and not exists (select from free)
""")
