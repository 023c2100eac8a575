"""The launch: the messages of a mailing's audience are created, slice by slice."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared.domain.message import MessageState
from shared.ledger.entries import Entries


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a launch. count: messages created. complete: it was the last one."""

    count: int
    complete: bool


def create_messages(connection: Connection, entries: Entries, mailing_id: int, limit: int) -> Slice:
    """Creates the next messages of a mailing's audience, at most `limit`, and moves its cursor behind them.

    The snapshot covers the clients that exist when the first slice is made. A mailing that is over by then is launched
    all the same, so that everybody can see what was not sent: its messages are `expired` from the start.
    """
    mailing = connection.execute(_LOCK_LAUNCH, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None:
        return Slice(0, complete=True)
    state = MessageState.EXPIRED if mailing.over else MessageState.PENDING
    row = connection.execute(_CREATE, {**mailing._mapping, "state": state, "limit": limit}).one()
    complete = row.number < limit
    cursor = mailing.audience_limit if complete else row.last
    connection.execute(_MOVE_CURSOR, {**mailing._mapping, "cursor": cursor, "count": row.number, "complete": complete})
    if row.number:
        entries.created(mailing_id, state, row.number)
    return Slice(row.number, complete)


_LOCK_LAUNCH = text("""
    select id, operator_codes, tags, audience_cursor, ends_at <= now() as over,
           coalesce(audience_limit, (select coalesce(max(id), 0) from clients)) as audience_limit
    from mailings where id = :mailing_id and launched_at is null and cancelled_at is null and starts_at <= now()
    for update
""")

_CREATE = text("""
    with audience as (
        select id from clients where id > :audience_cursor and id <= :audience_limit
          and (cast(:operator_codes as text[]) = '{}' or operator_code = any(cast(:operator_codes as text[])))
          and (cast(:tags as text[]) = '{}' or tag = any(cast(:tags as text[])))
        order by id limit :limit
    ), created as (
        insert into messages (mailing_id, client_id, status, due_at)
        select :id, id, cast(:state as message_state), case when :state = 'pending' then now() end
        from audience order by id returning client_id
    )
    select count(*) as number, max(client_id) as last from created
""")

_MOVE_CURSOR = text("""
    update mailings set audience_limit = :audience_limit, audience_cursor = :cursor, audience = audience + :count,
        launched_at = case when :complete then now() end
    where id = :id
""")
