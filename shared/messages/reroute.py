"""Messages that are open get their lanes anew: whose providers they may go through has changed."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared import lanes
from shared.domain.lanes import ANY
from shared.domain.message import OPEN_STATES
from shared.domain.state_sql import names
from shared.ledger.entries import Entries
from shared.messages.fragments import THEIR_LANE, array
from shared.messages.parts import end_of_span


@dataclass(frozen=True, slots=True)
class Rerouted:
    """How far a mailing has been gone through. routing: by which; the ids up to `last` have their lanes by it.
    complete: there are none behind `last`."""

    routing: int
    last: int
    complete: bool


def reroute_messages(
    connection: Connection, entries: Entries, mailing_id: int, span: int, before: Rerouted | None = None
) -> Rerouted:
    """The next `span` messages of where a mailing has its own: what is open there is in the lane that a launch would
    give it now, but what a call may have delivered is in its provider's own.

    Each is written once, and not at all where it is in its lane already. The mailing's row is locked, so no slice of a
    launch comes in between, and one that comes later goes by no earlier routing. before: where the last slice came to;
    it counts only if the routing is still the same.
    """
    mailing = connection.execute(_LOCK, {"mailing_id": mailing_id}).one_or_none()
    routes = lanes.read(connection)
    if mailing is None or mailing.first_message_id is None:
        connection.execute(_IS_ROUTED, {"mailing_id": mailing_id, "routing": routes.routing})
        return Rerouted(routes.routing, 0, complete=True)
    goes_on = before is not None and before.routing == routes.routing
    first = before.last + 1 if before and goes_on else mailing.first_message_id
    last = end_of_span(connection, mailing.part, first, mailing.last_message_id, span)
    route = routes.route(mailing.provider, mailing.sender, test=mailing.test)
    wanted = {
        "part": mailing.part, "mailing_id": mailing_id, "first": first, "last": last,
        "lane": route.lane, "codes": list(route.codes), "lanes": array(route.codes.values()),
    }  # fmt: skip
    if connection.execute(_REROUTE, wanted).rowcount:
        entries.look(mailing_id)
    complete = last == mailing.last_message_id
    if complete:
        connection.execute(_IS_ROUTED, {"mailing_id": mailing_id, "routing": routes.routing})
    return Rerouted(routes.routing, last, complete)


def read_routing(connection: Connection) -> int:
    """Which one is in force."""
    return connection.scalar(_ROUTING) or 0


_ROUTING = text(f"select routing from lanes where number = {ANY}")


def find_unrouted(connection: Connection, limit: int) -> list[int]:
    """Mailings with messages whose lanes are of an earlier routing."""
    return list(connection.scalars(_UNROUTED, {"limit": limit}))


_UNROUTED = text("""
    select id from mailings
    where finished_at is null and audience_limit is not null and part is not null
      and routing < (select max(routing) from lanes)
    order by id limit :limit
""")

_LOCK = text("""
    select part, first_message_id, last_message_id, provider, sender, test from mailings
    where id = :mailing_id and part is not null for update
""")

# The status as text, so that no index of a few states is a way to it, whatever the statistics promise.
_REROUTE = text(f"""
    with job as materialized (
        select m.id, case
            when m.maybe_delivered then {THEIR_LANE}
            else coalesce(
                (cast(:lanes as smallint[]))[array_position(
                    cast(:codes as text[]),
                    (select operator_code::text from clients where id = m.client_id limit 1))],
                :lane)
            end as lane, m.lane as before
        from messages m
        where part = :part and id between :first and :last and mailing_id = :mailing_id
          and status::text in {names(OPEN_STATES)}
        order by id for update of m
    )
    update messages m set lane = job.lane from job
    where m.part = :part and m.id = job.id and job.lane <> job.before
""")

_IS_ROUTED = text("update mailings set routing = :routing where id = :mailing_id")
