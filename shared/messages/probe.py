"""Which message is to find out whether the provider is back."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.lanes import ANY
from shared.domain.state_sql import IS_WAITING
from shared.messages.fragments import array
from shared.messages.parts import parts_of
from shared.standing import is_blocked

MAILINGS = 100
"""So many are looked at, those that have waited longest, with LOOK messages each."""

LOOK = 20
HINTS = 1_000
"""So many of the hints that are due are looked at, those that have been for longest: in an outage it may be all."""


class Probe(NamedTuple):
    calls: int
    mailing_id: int
    message_id: int
    lane: int = ANY


def find_probe(connection: Connection, last: int | None, lanes: Collection[int] = (ANY,)) -> Probe | None:
    """Of what is due in these lanes, the message that was tried least; none of the last probe's mailing if another one
    is due, and none of a test.

    So a mailing that cannot be sent does not keep the breaker open for the others. Nothing is locked: who claims it
    sees whether it is still to be had. last: the mailing of the last probe.
    """
    mailing_ids = connection.scalars(_MAILINGS, {"limit": MAILINGS, "last": last or 0, "hints": HINTS}).all()
    found = [
        Probe(*row)
        for part, ids in parts_of(connection, mailing_ids).items()
        for row in connection.execute(
            _TRIED_LEAST, {"part": part, "mailing_ids": ids, "lanes": array(lanes), "look": LOOK}
        )
    ]
    others = [probe for probe in found if probe.mailing_id != last]
    return min(others or found, default=None)


# The last one's mailing comes last, so that it is left out first.
_MAILINGS = text(f"""
    select m.id from (
        select mailing_id, min(due_at) as due_at from (
            select mailing_id, due_at from mailing_counters where due_at <= now() order by due_at limit :hints
        ) nearest
        group by mailing_id
    ) hinted
    cross join lateral (select * from mailings where id = hinted.mailing_id limit 1) m
    where m.part is not null and m.paused_at is null and m.cancelled_at is null and m.ends_at > now()
      and not m.test
      and not {is_blocked("m")}
    order by m.id = :last, hinted.due_at limit :limit
""")

_TRIED_LEAST = text(f"""
    select next.calls, job.id, next.id, next.lane
    from unnest(cast(:mailing_ids as bigint[])) as job (id)
    cross join unnest(cast(:lanes as smallint[])) as wanted (lane)
    cross join lateral (
        select id, calls, lane from (
            select id, calls, lane from messages m
            where part = :part and mailing_id = job.id and lane = wanted.lane and {IS_WAITING} and due_at <= now()
            order by due_at, id limit :look
        ) due order by calls, id limit 1
    ) next
""")
