"""Which mailings have messages that wait."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from shared.domain.priority import Priority
from shared.domain.state_sql import IS_WAITING
from shared.messages.parts import Place, place_of


def find_waiting(connection: Connection, places: Iterable[Place]) -> Mapping[int, Sequence[int]]:
    """The mailings that have messages which wait, and the lanes of each in which the first of them is due."""
    waiting: dict[int, Sequence[int]] = {}
    for part, mailing_ids in _by_part(places).items():
        for mailing_id, lanes in connection.execute(_WAITING, {"part": part, "mailing_ids": mailing_ids}):
            waiting[mailing_id] = tuple(lanes or ())
    return waiting


_WAITING = text(f"""
    select job.id, array_agg(next.lane order by next.lane) filter (where next.due_at <= now())
    from unnest(cast(:mailing_ids as bigint[])) as job (id)
    cross join lanes
    cross join lateral (
        select lane, due_at from messages m
        where part = :part and mailing_id = job.id and lane = lanes.number and {IS_WAITING}
        order by due_at, id limit 1
    ) next
    group by job.id
""")


def has_waiting(connection: Connection, mailing_id: int) -> bool:
    """Whether messages of a mailing wait, locked or not."""
    return bool(find_waiting(connection, [place_of(connection, mailing_id)]))


def find_last(connection: Connection, places: Iterable[Place]) -> Mapping[int, datetime]:
    """When the last message is due that waits, of mailings of which one lies ahead: a look into the index for each lane
    of each."""
    return {
        row.id: row.due_at
        for part, mailing_ids in _by_part(places).items()
        for row in connection.execute(_LAST, {"part": part, "mailing_ids": mailing_ids})
    }


_LAST = text(f"""
    select job.id, max(last.due_at) as due_at from unnest(cast(:mailing_ids as bigint[])) as job (id)
    cross join lanes
    cross join lateral (
        select due_at from messages
        where part = :part and mailing_id = job.id and lane = lanes.number and {IS_WAITING}
        order by due_at desc, id desc limit 1
    ) last
    where last.due_at > now() group by job.id
""")


def longest_due(
    connection: Connection, places: Iterable[Place], closed: Collection[int] = ()
) -> Mapping[Priority, float]:
    """For how many seconds the message of these mailings has been due that is due for longest, by class; none where
    none is. closed: lanes of which nothing can be sent."""
    longest: dict[Priority, float] = {}
    for part, mailing_ids in _by_part(places).items():
        job = {"part": part, "mailing_ids": mailing_ids, "closed": list(closed)}
        for row in connection.execute(_LONGEST_DUE, job):
            priority = Priority(row.priority)
            longest[priority] = max(longest.get(priority, 0.0), row.seconds)
    return longest


# The first one of each lane, by the index.
_LONGEST_DUE = text(f"""
    select mailings.priority, extract(epoch from now() - min(next.due_at))::float as seconds
    from unnest(cast(:mailing_ids as bigint[])) as job (id)
    join mailings on mailings.id = job.id
    cross join lanes
    cross join lateral (
        select due_at from messages m
        where part = :part and mailing_id = job.id and lane = lanes.number and {IS_WAITING}
        order by due_at, id limit 1
    ) next
    where lanes.number <> all(cast(:closed as smallint[]))
    group by mailings.priority having min(next.due_at) <= now()
""")


def _by_part(places: Iterable[Place]) -> Mapping[int, Sequence[int]]:
    by_part: dict[int, list[int]] = defaultdict(list)
    for mailing_id, part in places:
        if part is not None:
            by_part[part].append(mailing_id)
    return by_part
