"""What is due is read, for the leader to publish. Nothing is locked or written."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.due import Group, Position
from shared.domain.state_sql import IS_WAITING
from shared.messages.fragments import array


class Wanted(NamedTuple):
    """Messages of a lane of a mailing: at most so many, behind a position in the order of (due_at, id), which is none
    where it is to be read from the start."""

    mailing_id: int
    lane: int
    limit: int
    after: Position | None


class Read(NamedTuple):
    """What was due at that moment of the database's clock. groups: by what was wanted, as it was numbered; in the order
    of their times."""

    now: datetime
    groups: Mapping[int, Sequence[Group]]

    @property
    def size(self) -> int:
        """How many messages."""
        return sum(len(group.ids) for groups in self.groups.values() for group in groups)


def read_due(connection: Connection, part: int, wanted: Sequence[Wanted], most: int) -> Read:
    """Messages that are due, of mailings in one part that run; at most so many in all, in the order in which they are
    wanted."""
    positions = [one.after or (_FROM_THE_START, 0) for one in wanted]
    rows = connection.execute(
        _READ,
        {
            "part": part,
            "mailing_ids": array(one.mailing_id for one in wanted),
            "lanes": array(one.lane for one in wanted),
            "limits": array(one.limit for one in wanted),
            "due_ats": [str(due_at) for due_at, _ in positions],
            "ids": array(message_id for _, message_id in positions),
            "most": most,
        },
    ).all()
    groups: dict[int, list[Group]] = {}
    for _, number, due_at, ids in rows[1:]:
        groups.setdefault(number - 1, []).append(Group(due_at, sorted(ids)))
    return Read(rows[0].now, groups)


_FROM_THE_START = "-infinity"

# In the order of the index, which so is the only way to read them, whatever the statistics promise. As one array of ids
# for each moment: thousands of rows, and next to nothing to do for each. The first row has the time.
_READ = text(f"""
    with due as materialized (
        select wanted.number, m.due_at, m.id
        from unnest(cast(:mailing_ids as bigint[]), cast(:lanes as smallint[]), cast(:limits as bigint[]),
                    cast(:due_ats as timestamptz[]), cast(:ids as bigint[]))
            with ordinality as wanted (mailing_id, lane, number_of, due_at, id, number)
        cross join lateral (
            select from mailings where id = wanted.mailing_id
              and paused_at is null and cancelled_at is null and ends_at > now() limit 1
        ) running
        cross join lateral (
            select due_at, id from messages
            where part = :part and mailing_id = wanted.mailing_id and lane = wanted.lane and {IS_WAITING}
              and due_at <= now() and (due_at, id) > (wanted.due_at, wanted.id)
            order by due_at, id limit wanted.number_of
        ) m
        limit :most
    )
    select now() as now, null as number, null as due_at, null as ids
    union all
    (select null, number, due_at, array_agg(id) from due group by number, due_at order by number, due_at)
""")
