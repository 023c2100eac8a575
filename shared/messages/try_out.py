"""A mailing is tried out on a few clients: their messages are made at once, without a launch, and read back."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared import lanes
from shared.domain.message import MessageState
from shared.domain.reason import Reason
from shared.ledger.entries import Entries
from shared.messages.fragments import AnyRow, array


def create_trial(connection: Connection, entries: Entries, mailing_id: int, client_ids: Sequence[int]) -> None:
    """Makes the messages of a mailing that is new in this transaction, to these clients and to nobody else. Those to a
    suppressed phone are `skipped` from the start."""
    known, mailing = lanes.read(connection), connection.execute(_MAILING, {"mailing_id": mailing_id}).one()
    route = known.route(mailing.provider, mailing.sender, test=mailing.test)
    way = {"lane": route.lane, "routed": list(route.codes), "routes": list(route.codes.values())}
    place = {"mailing_id": mailing_id, "ids": array(client_ids), "reason": Reason.OPTED_OUT}
    rows = connection.execute(_CREATE, {**place, **way}).all()
    skipped = sum(row.status == MessageState.SKIPPED for row in rows)
    if skipped:
        entries.created(mailing_id, MessageState.SKIPPED, skipped, Reason.OPTED_OUT)
    if skipped < len(rows):
        entries.created(mailing_id, MessageState.PENDING, len(rows) - skipped)
    entries.look(mailing_id)
    ids = [row.id for row in rows]
    made = {"number": len(ids), "first_id": min(ids, default=None), "last_id": max(ids, default=None)}
    part = rows[0].part if rows else None
    connection.execute(_LAUNCHED, {"mailing_id": mailing_id, "part": part, "routing": known.routing, **made})


_MAILING = text("select provider, sender, test from mailings where id = :mailing_id")


_CREATE = text("""
    insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
    select place.part, :mailing_id, id, phone,
        coalesce((cast(:routes as smallint[]))[array_position(cast(:routed as text[]), operator_code::text)], :lane),
        cast(case when suppression_id is null then 'pending' else 'skipped' end as message_state),
        case when suppression_id is null then now() end, case when suppression_id is not null then :reason end
    from clients cross join (select min(number) as part from parts where closed_at is null) place
    where id = any(cast(:ids as bigint[])) order by id
    returning part, id, status
""")

_LAUNCHED = text("""
    update mailings set launched_at = now(), audience_limit = 0, audience = :number, part = :part,
        first_message_id = :first_id, last_message_id = :last_id, routing = :routing
    where id = :mailing_id
""")


def read_trials(connection: Connection, part: int, mailings: Sequence[tuple[int, int, int]]) -> Sequence[AnyRow]:
    """The messages of a few small mailings in a part, in the order of their ids. mailings: id, first and last message
    of each."""
    ids, firsts, lasts = zip(*mailings, strict=True)
    tried = {"mailing_ids": array(ids), "firsts": array(firsts), "lasts": array(lasts)}
    return connection.execute(_READ, {"part": part, **tried}).all()


# In the order of the primary key, which so is the only way to read them. Between the first and the last there are at
# most those of others that were made at the same time.
_READ = text("""
    select m.id, m.mailing_id, m.client_id, m.phone, m.status, m.error, m.sent_at
    from unnest(cast(:mailing_ids as bigint[]), cast(:firsts as bigint[]), cast(:lasts as bigint[]))
        as tried (mailing_id, first, last)
    cross join lateral (
        select * from messages where part = :part and id >= tried.first and id <= tried.last order by id
    ) m
    where m.mailing_id = tried.mailing_id order by m.id
""")
