"""The launch of a retry: to those of another mailing whose messages ended so, and whom no other retry reaches.

All retries that go back to one mailing are a family. Whom one of them has reached, or may have, or is still to reach,
the others leave out; so whose turn it is to create messages has it alone in the family, and sees what those before
have created.
"""

from typing import Any

from sqlalchemy import Connection, text

from shared.domain.gates.window import openings_of
from shared.domain.message import UNDELIVERED_STATES
from shared.domain.state_sql import IS_RARE, names
from shared.lanes import Route
from shared.messages.fragments import AnyRow
from shared.messages.zones import hold_zones


def create_span(connection: Connection, mailing: AnyRow, route: Route, values: dict[str, Any]) -> AnyRow:
    """Creates the messages for the next `span` of those of the source that ended so; what became of them.

    mailing: the retry, locked. route: where its messages go. values: what a slice of any launch is given.
    """
    connection.execute(_TURN, {"root": mailing.retry_root})
    family = connection.execute(_FAMILY, {"root": mailing.retry_root}).all()
    source = next((one for one in family if one.id == mailing.retry_of), None)
    last = source.last_message_id if source else None
    limit = (last or 0) if mailing.audience_limit is None else mailing.audience_limit
    others = [one for one in family if one.id not in (mailing.id, mailing.retry_of, mailing.retry_root)]
    read = {
        "source": mailing.retry_of,
        "source_part": source.part if source else None,
        "after": mailing.audience_cursor,
        "limit": limit,
        "states": mailing.retry_states,
        "errors": mailing.retry_errors,
        "others": [one.id for one in others],
        # None would be all of them to the planner.
        "other_parts": sorted({one.part for one in others if one.part is not None}) or [mailing.part],
    }
    zones = _openings(connection, mailing, {**read, "span": values["span"]})
    openings = {"zones": list(zones), "openings": list(zones.values())}
    way = {"lane": route.lane, "routed": list(route.codes), "routes": list(route.codes.values())}
    own = {"id": mailing.id, "part": mailing.part}
    return connection.execute(_CREATE, {**own, **values, **read, **openings, **way}).one()


def _openings(connection: Connection, mailing: AnyRow, read: dict[str, Any]) -> dict[str, Any]:
    if mailing.window_from is None:
        return {}
    hold_zones(connection)
    return openings_of(mailing, connection.scalars(_ZONES, read).all())


# Until the end of the transaction.
_TURN = text("select pg_advisory_xact_lock(hashtext('retry'), hashint8(:root))")

_FAMILY = text("""
    select id, part, last_message_id from mailings
    where id = any(array(select :root union all select id from mailings where retry_root = :root))
      and messages_removed_at is null
    order by id
""")

# By the index of the few that were not sent: a state each, in the order of ids.
_SPAN = f"""
    span as materialized (
        select found.id, found.client_id, found.error from unnest(cast(:states as message_state[])) as wanted (state)
        cross join lateral (
            select id, client_id, error from messages
            where part = :source_part and mailing_id = :source and status = wanted.state and {IS_RARE}
              and id > :after and id <= :limit
            order by id limit :span
        ) found
        order by found.id limit :span
    )
"""

_ZONES = text(f"""
    with {_SPAN} select distinct c.timezone
    from span cross join lateral (select timezone from clients where id = span.client_id limit 1) c
""")

# One look into the index of each part for each client, whatever the statistics say: so it is no `exists`.
_CREATE = text(f"""
    with {_SPAN}, created as (
        insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
        select :part, :id, c.id, c.phone,
            coalesce((cast(:routes as smallint[]))[array_position(cast(:routed as text[]), c.operator_code::text)],
                     cast(:lane as smallint)),
            case when c.suppression_id is null then cast(:state as message_state) else 'skipped' end,
            case when :state = 'pending' and c.suppression_id is null then
            coalesce((cast(:openings as timestamptz[]))[array_position(cast(:zones as text[]), c.timezone::text)],
                     now()) end,
            case when c.suppression_id is not null then :reason end
        from span
        cross join lateral (select * from clients where id = span.client_id limit 1) c
        where (cardinality(cast(:errors as text[])) = 0 or span.error = any(cast(:errors as text[]))) and (
            select true from messages m
            where m.part = any(cast(:other_parts as integer[])) and m.client_id = span.client_id
              and m.mailing_id = any(cast(:others as bigint[])) and m.status not in {names(UNDELIVERED_STATES)}
            limit 1
        ) is not true
        order by span.id
        returning id, status, due_at
    )
    select number, skipped, first_id, last_id, last, looked_at, cast(:limit as bigint) as audience_limit,
           array(select due_at from created where cardinality(cast(:zones as text[])) > 0 and due_at > now()
                 group by due_at order by due_at) as opens_at,
           array(select count(*) from created where cardinality(cast(:zones as text[])) > 0 and due_at > now()
                 group by due_at order by due_at) as waiting
    from (select max(id) as last, count(*) as looked_at from span) span,
         (select count(*) as number, count(*) filter (where status = 'skipped') as skipped,
                 min(id) as first_id, max(id) as last_id from created) created
""")
