"""The messages of a mailing by operator code, status and error: counted when it is finished, and kept for ever, as its
figures are.

By rows and not by counters: that costs a message nothing while it is on its way.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from shared.domain.apart import NOT_APART
from shared.domain.message import FINAL_STATES, MessageState
from shared.ledger.stretches import Stretch, of_stretches, read_slices


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


def count(connection: Connection, mailing_ids: Sequence[int]) -> Mapping[int, Mapping[Group, int]]:
    """What there is of each mailing now."""
    return {mailing_id: _together(pieces) for mailing_id, pieces in _counted(connection, mailing_ids).items()}


def _counted(connection: Connection, mailing_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
    """The same as it is kept, a piece for each slice: most mailings have one."""
    places = connection.execute(_PLACES, {"mailing_ids": list(mailing_ids)}).all()
    found: dict[int, list[str]] = defaultdict(list)
    stretches = [Stretch(row.part, row.id, row.first_message_id - 1, row.last_message_id) for row in places]
    for row in read_slices(connection, _COUNT, stretches):
        if row.counts is not None:
            found[row.id].append(row.counts)
    return found


def _together(pieces: Iterable[str]) -> Counter[Group]:
    found: Counter[Group] = Counter()
    for piece in pieces:
        found.update(_groups(json.loads(piece)))
    return found


def _groups(counts: Iterable[Mapping[str, Any]]) -> dict[Group, int]:
    return {Group(one["code"], MessageState(one["status"]), one["error"]): one["number"] for one in counts}


_PLACES = text("""
    select id, part, first_message_id, last_message_id from mailings
    where id = any(:mailing_ids) and part is not null and first_message_id is not null and messages_removed_at is null
""")

_COUNT = text(f"""
    with rows as materialized (
        select job.id as asked, m.* from {of_stretches("id, mailing_id, client_id, phone, status, error")}
    )
    select asked as id, sum(read)::bigint as read, max(last) as last, cast(jsonb_agg(
        jsonb_build_object('code', code, 'status', status, 'error', error, 'number', number)
        order by code, status::text, error) filter (where number > 0) as text) as counts
    from (
        select m.asked, coalesce(c.operator_code, substr(cast(m.phone as text), 2, 3), '') as code, m.status,
               case when m.status = 'sent' then '' else coalesce(m.error, '') end as error,
               count(*) filter (where m.mailing_id = m.asked) as number, count(*) as read, max(m.id) as last
        from rows m left join lateral (
            select operator_code from clients where id = m.client_id and m.mailing_id = m.asked limit 1) c on true
        group by 1, 2, 3, 4
    ) groups
    group by asked
""")


def keep(connection: Connection, mailing_ids: Sequence[int]) -> None:
    """Counts mailings of which all is final, and writes it down. Doing it again changes nothing."""
    counts = {
        mailing_id: pieces[0] if len(pieces) == 1 else _as_one(pieces)
        for mailing_id, pieces in sorted(_counted(connection, mailing_ids).items())
    }
    if counts:
        connection.execute(_KEEP, {"mailing_ids": list(counts), "counts": list(counts.values())})


def _as_one(pieces: Sequence[str]) -> str:
    return json.dumps(
        [
            {"code": group.operator_code, "status": group.status, "error": group.error, "number": number}
            for group, number in sorted(_together(pieces).items())
        ]
    )


_KEEP = text("""
    insert into mailing_breakdowns (mailing_id, counts)
    select id, counts from unnest(cast(:mailing_ids as bigint[]), cast(:counts as jsonb[])) as counted (id, counts)
    on conflict (mailing_id) do update set counts = excluded.counts
""")


def read(connection: Connection, mailing_id: int) -> Breakdown | None:
    """The one that is kept; None: there is none."""
    row = connection.execute(_READ, {"mailing_id": mailing_id}).one_or_none()
    if row is None:
        return None
    return Breakdown(_groups(row.counts), row.counted_at, is_final=True)


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
