"""The messages of a mailing by operator code, status and error: counted when it is finished, and kept for ever, as its
figures are.

By rows and not by counters: that costs a message nothing while it is on its way.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.apart import NOT_APART
from shared.domain.message import FINAL_STATES, MessageState

SLICE = 20_000
"""Rows that one statement reads at the most."""


class Group(NamedTuple):
    """Messages that have these in common. operator_code: of the client, or of their phone if they are gone. error: of
    the last attempt, empty where it succeeded or there was none."""

    operator_code: str
    status: MessageState
    error: str


class Breakdown(NamedTuple):
    """at: as of when; None: nothing was counted. is_final: it stays as it is."""

    counts: Mapping[Group, int]
    at: datetime | None = None
    is_final: bool = False

    @property
    def by_reason(self) -> Mapping[tuple[MessageState, str], int]:
        """What is final and was not accepted, by status and error; the most frequent first."""
        found: Counter[tuple[MessageState, str]] = Counter()
        for group, number in self.counts.items():
            if group.status in FINAL_STATES and group.status is not MessageState.SENT:
                found[group.status, group.error] += number
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    @property
    def by_operator(self) -> Mapping[str, Mapping[MessageState, int]]:
        """By operator code and status; the code with the most messages first."""
        found: dict[str, Counter[MessageState]] = {}
        for group, number in self.counts.items():
            found.setdefault(group.operator_code, Counter())[group.status] += number
        return dict(sorted(found.items(), key=lambda one: (-one[1].total(), one[0])))


def count(connection: Connection, mailing_id: int) -> Mapping[Group, int]:
    """What there is now, slice by slice."""
    mailing = connection.execute(_PLACE, {"mailing_id": mailing_id}).one_or_none()
    found: Counter[Group] = Counter()
    if mailing is not None:
        for group, number in _slices(connection, dict(mailing._mapping)):
            found[group] += number
    return found


def _slices(connection: Connection, place: dict[str, int]) -> Iterator[tuple[Group, int]]:
    read = SLICE
    while read == SLICE:
        rows = connection.execute(_COUNT, {**place, "limit": SLICE}).all()
        for row in rows:
            if row.number:
                yield Group(row.code, MessageState(row.status), row.error), row.number
        read = sum(row.read for row in rows)
        place["after"] = max((row.last for row in rows), default=0)


_PLACE = text("""
    select id as mailing_id, part, first_message_id - 1 as after, last_message_id as last from mailings
    where id = :mailing_id and part is not null and first_message_id is not null and messages_removed_at is null
""")

# In the order of the primary key, which so is the only way to read them.
_COUNT = text("""
    with rows as materialized (
        select id, mailing_id, client_id, phone, status, error from messages
        where part = :part and id > :after and id <= :last order by id limit :limit
    )
    select coalesce(c.operator_code, substr(cast(m.phone as text), 2, 3), '') as code, m.status,
           case when m.status = 'sent' then '' else coalesce(m.error, '') end as error,
           count(*) filter (where m.mailing_id = :mailing_id) as number, count(*) as read, max(m.id) as last
    from rows m left join lateral (select operator_code from clients where id = m.client_id limit 1) c on true
    group by 1, 2, 3
""")


def keep(connection: Connection, mailing_id: int) -> bool:
    """Counts a mailing of which all is final, and writes it down. Doing it again changes nothing."""
    counts = count(connection, mailing_id)
    rows = [
        {"code": group.operator_code, "status": group.status, "error": group.error, "number": number}
        for group, number in sorted(counts.items())
    ]
    if rows:
        connection.execute(_KEEP, {"mailing_id": mailing_id, "counts": json.dumps(rows)})
    return True


_KEEP = text("""
    insert into mailing_breakdowns (mailing_id, counts) values (:mailing_id, cast(:counts as jsonb))
    on conflict (mailing_id) do update set counts = excluded.counts
""")


def read(connection: Connection, mailing_id: int) -> Breakdown | None:
    """The one that is kept; None: there is none."""
    row = connection.execute(_READ, {"mailing_id": mailing_id}).one_or_none()
    if row is None:
        return None
    counts = {Group(one["code"], MessageState(one["status"]), one["error"]): one["number"] for one in row.counts}
    return Breakdown(counts, row.counted_at, is_final=True)


_READ = text("select counts, counted_at from mailing_breakdowns where mailing_id = :mailing_id")


def read_finished(connection: Connection, start: datetime, end: datetime) -> Breakdown:
    """Of all mailings together that were finished from `start` (included) to `end` (excluded), but for those that stand
    apart."""
    rows = connection.execute(_FINISHED, {"start": start, "end": end})
    return Breakdown({Group(row.code, MessageState(row.status), row.error): row.number for row in rows})


_FINISHED = text(f"""
    select g.code, g.status, g.error, sum(g.number)::bigint as number
    from mailing_breakdowns b
    cross join lateral jsonb_to_recordset(b.counts) as g (code text, status text, error text, number bigint)
    where b.counted_at >= :start and b.counted_at < :end and {NOT_APART}
    group by g.code, g.status, g.error
""")
