"""The launch: the messages of mailings' audiences are created, slice by slice."""

import json
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text

from shared import lanes
from shared.audience.chosen import Chosen, Span, chosen, read_parts
from shared.domain.filter import Exclusion, Filter, by_name
from shared.domain.gates.window import openings_of
from shared.domain.message import MessageState
from shared.domain.reason import Reason
from shared.domain.segments import Audience, Segment
from shared.lanes import Route
from shared.ledger.entries import Entries
from shared.messages.create_retry import create_span
from shared.messages.fragments import AnyRow
from shared.messages.skip import count_skipped
from shared.messages.zones import hold_zones


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of a launch. count: messages created. complete: there is nothing left to create. launched: it was this
    slice that found nothing left. part: where the messages are."""

    count: int
    complete: bool
    launched: bool = False
    part: int | None = None


def create_messages(connection: Connection, entries: Entries, mailing_id: int, span: int) -> Slice:
    """Looks at the next `span` clients of the directory, creates the messages of those who match, and moves the
    mailing's cursor behind them.

    What a slice costs is bounded by the clients that it looks at, and not by those who match: it may be none of them.
    Ids that nobody has any more cost nothing. The snapshot covers the clients that exist when the first slice is made.
    A mailing that is over by then is launched all the same, so that everybody can see what was not sent: its messages
    are `expired` from the start. A retry looks at messages of its source in the place of clients, and its cursor is one
    of their ids. Those to a suppressed phone are `skipped` from the start. Those whose window is closed are due at its
    opening. All of them are in one part, the one that is filled when the first slice is made. Each is in the lane of
    those providers that may take it by the settings of now.
    """
    mailings = connection.execute(_LOCK_LAUNCH, {"mailing_ids": [mailing_id]}).all()
    if mailings and mailings[0].retry_of is not None:
        return _create_slice_of_retry(connection, entries, mailings[0], span)
    made = _create_slices(connection, entries, mailings, span)
    return made.get(mailing_id, Slice(0, complete=True))


def create_together(
    connection: Connection, entries: Entries, mailing_ids: Sequence[int], span: int
) -> Mapping[int, Slice]:
    """A slice of each of several mailings, of so many clients each, in this order: what many small ones cost is next to
    nothing for each. One that somebody has locked, or that is not to be launched any more, is left out; and so is a
    retry, which has to wait for its turn in its family."""
    rows = connection.execute(_LOCK_FREE, {"mailing_ids": sorted(mailing_ids)})
    free = {mailing.id: mailing for mailing in rows if mailing.retry_of is None}
    return _create_slices(connection, entries, [free[each] for each in mailing_ids if each in free], span)


def _create_slices(connection: Connection, entries: Entries, mailings: Sequence[AnyRow], span: int) -> dict[int, Slice]:
    """One statement for all that are written alike."""
    openings, known_lanes = _openings(connection, mailings, span), lanes.read(connection)
    alike: dict[Hashable, list[_Launched]] = defaultdict(list)
    for mailing in mailings:
        audience = _audience(mailing)
        wanted = chosen(audience, read_parts(connection, audience), _SPAN_READ, _JOB)
        route = known_lanes.route(mailing.provider, mailing.sender, test=mailing.test)
        launched = _Launched(mailing, wanted, openings.get(mailing.id, {}), route)
        alike[launched.kind].append(launched)
    rows: list[tuple[AnyRow, AnyRow]] = []
    for some in alike.values():
        values = {"span": span, "reason": Reason.OPTED_OUT, "jobs": json.dumps([one.job for one in some])}
        created = connection.execute(_create(some[0].wanted), {**values, **some[0].bound}).all()
        known = {one.mailing.id: one.mailing for one in some}
        rows += [(known[row.id], row) for row in created]
    _move_cursors(connection, rows, span, known_lanes.routing)
    return {mailing.id: _enter(entries, mailing, row, span) for mailing, row in rows}


def _create_slice_of_retry(connection: Connection, entries: Entries, mailing: AnyRow, span: int) -> Slice:
    state = MessageState.EXPIRED if mailing.over else MessageState.PENDING
    known_lanes = lanes.read(connection)
    route = known_lanes.route(mailing.provider, mailing.sender, test=mailing.test)
    row = create_span(connection, mailing, route, {"state": state, "span": span, "reason": Reason.OPTED_OUT})
    _move_cursors(connection, [(mailing, row)], span, known_lanes.routing)
    return _enter(entries, mailing, row, span)


@dataclass(frozen=True, slots=True)
class _Launched:
    """A mailing of which a slice is made. openings: when its window opens, by the time zones in which it is closed.
    route: where its messages go."""

    mailing: AnyRow
    wanted: Chosen
    openings: Mapping[str, datetime]
    route: Route

    @property
    def bound(self) -> dict[str, Any]:
        """What of the filter's values is bound to the statement."""
        return {name: value for name, value in self.wanted.values.items() if name not in self.wanted.columns}

    @property
    def kind(self) -> Hashable:
        """Those of one kind are launched by one statement."""
        return self.wanted.parts, self.wanted.joins, self.wanted.condition, str(self.bound)

    @property
    def job(self) -> dict[str, Any]:
        """Its row in the statement."""
        state = MessageState.EXPIRED if self.mailing.over else MessageState.PENDING
        own = {name: self.mailing._mapping[name] for name in ("id", "part", "audience_cursor", "audience_limit")}
        openings = [moment.isoformat() for moment in self.openings.values()]
        values = {name: self.wanted.values[name] for name in self.wanted.columns}
        codes, routes = list(self.route.codes), list(map(str, self.route.codes.values()))
        way = {"lane": self.route.lane, "routed": codes, "routes": routes}
        return {**own, "state": state, "zones": list(self.openings), "openings": openings, **way, **values}


def _move_cursors(connection: Connection, rows: Sequence[tuple[AnyRow, AnyRow]], span: int, routing: int) -> None:
    moved = [
        (
            mailing.id,
            row.audience_limit,
            row.audience_limit if row.looked_at < span else row.last,
            row.number,
            mailing.part,
            row.first_id,
            row.last_id,
            row.looked_at < span,
        )
        for mailing, row in rows
    ]
    if moved:
        names = ("ids", "audience_limits", "cursors", "counts", "parts", "first_ids", "last_ids", "are_complete")
        columns = map(list, zip(*moved, strict=True))
        connection.execute(_MOVE_CURSORS, {**dict(zip(names, columns, strict=True)), "routing": routing})


def _enter(entries: Entries, mailing: AnyRow, row: AnyRow, span: int) -> Slice:
    complete = row.looked_at < span
    for opens_at, count in zip(row.opens_at or (), row.waiting or (), strict=True):
        entries.opens(mailing.id, opens_at, count)
    if row.number > row.skipped:
        state = MessageState.EXPIRED if mailing.over else MessageState.PENDING
        entries.created(mailing.id, state, row.number - row.skipped)
    if row.skipped:
        entries.created(mailing.id, MessageState.SKIPPED, row.skipped, Reason.OPTED_OUT)
        count_skipped(Reason.OPTED_OUT, row.skipped)
    if complete:
        entries.look(mailing.id)  # it may be over already, if it is for nobody
    return Slice(row.number, complete, launched=complete, part=mailing.part)


def _audience(mailing: AnyRow) -> Audience:
    """As it was when the mailing was saved."""
    criteria = Filter(
        mailing.operator_codes, mailing.tags, mailing.imports, mailing.timezones, by_name(mailing.attributes),
        mailing.segments, Exclusion.of_json(mailing.exclude),
    )  # fmt: skip
    return Audience.of(criteria, map(Segment.of_json, mailing.fixed_segments))


def _openings(connection: Connection, mailings: Sequence[AnyRow], span: int) -> Mapping[int, Mapping[str, datetime]]:
    """By mailing: when its window opens, in the time zones of the clients of its span in which it is closed now."""
    windowed = {mailing.id: mailing for mailing in mailings if mailing.window_from is not None}
    if not windowed:
        return {}
    hold_zones(connection)
    spans = {
        "ids": list(windowed),
        "cursors": [mailing.audience_cursor for mailing in windowed.values()],
        "limits": [mailing.audience_limit for mailing in windowed.values()],
    }
    found = connection.execute(_ZONES, {**spans, "span": span})
    return {row.id: openings_of(windowed[row.id], row.zones) for row in found}


_LAUNCHED = """
    select id, operator_codes, tags, imports, timezones, attributes, segments, exclude, fixed_segments,
           audience_cursor, ends_at <= now() as over, retry_of, retry_root, retry_states, retry_errors,
           case when audience_limit is null and retry_of is null then (select coalesce(max(id), 0) from clients)
                else audience_limit end as audience_limit,
           coalesce(part, (select min(number) from parts where closed_at is null)) as part,
           window_from, window_until, provider, sender, test, now() as now
    from mailings where id = any(:mailing_ids)
      and launched_at is null and cancelled_at is null and not draft and starts_at <= now()
    order by id for update
"""
_LOCK_LAUNCH = text(_LAUNCHED)
_LOCK_FREE = text(f"{_LAUNCHED} skip locked")

# The end of a span comes from the index alone, in whose order it is read: how many clients are behind a cursor the
# planner does not know, so it expects a third of all. Nor does it know the end, and therefore expects few clients in a
# span and reads them by the index, whatever the statistics say about ids.
_SPAN = """
    select max(id) filter (where id <= asked.audience_limit) as last,
           count(*) filter (where id <= asked.audience_limit) as looked_at
    from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
"""

_ZONES = text(f"""
    select asked.id, array(
        select distinct timezone from clients where id > asked.audience_cursor and id <= span.last) as zones
    from unnest(cast(:ids as bigint[]), cast(:cursors as bigint[]), cast(:limits as bigint[]))
        as asked (id, audience_cursor, audience_limit)
    cross join lateral ({_SPAN}) span
""")


_JOB = "job"
_SPAN_READ = Span("job.audience_cursor", "job.last")
_COLUMNS = {
    "id": "bigint",
    "part": "integer",
    "audience_cursor": "bigint",
    "audience_limit": "bigint",
    "state": "message_state",
    "zones": "text[]",
    "openings": "timestamptz[]",
    "lane": "smallint",
    "routed": "text[]",
    "routes": "smallint[]",
}


def asked(columns: Mapping[str, str]) -> str:
    """A part of a statement: what `:jobs` say, a JSON array of objects, as rows. columns: their types."""
    typed = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
    read = ", ".join(f"{name} {'text[]' if kind.endswith('[]') else 'text'}" for name, kind in columns.items())
    return f"asked as materialized (select {typed} from jsonb_to_recordset(cast(:jobs as jsonb)) as asked ({read}))"


# The openings that messages wait for, and how many. Where the window is open for everybody nothing is counted.
_PUT_OFF = """
    select mailing_id, array_agg(due_at order by due_at) as opens_at, array_agg(number order by due_at) as waiting
    from (
        select mailing_id, due_at, count(*) as number from created
        where (select bool_or(cardinality(zones) > 0) from job) and due_at > now() group by mailing_id, due_at
    ) moments
    group by mailing_id
"""


def _create(wanted: Chosen) -> TextClause:
    """For all mailings with such a filter, each with values of its own.

    array_position: of the few zones in which the window is closed, and of the few operators that have providers of
    their own. Where there are none it costs nothing.
    """
    return text(f"""
        with {asked({**_COLUMNS, **wanted.columns})}, job as materialized (
            select asked.*, span.last, span.looked_at from asked cross join lateral ({_SPAN}) span
        ), created as (
            insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
            select job.part, job.id, client.id, client.phone,
                coalesce(job.routes[array_position(job.routed, operator_code::text)], job.lane),
                case when suppression_id is null then job.state else 'skipped' end,
                case when job.state = 'pending' and suppression_id is null then
                coalesce(job.openings[array_position(job.zones, timezone::text)], now()) end,
                case when suppression_id is not null then :reason end
            from job cross join lateral (
                {f"with {', '.join(wanted.parts)}" if wanted.parts else ""}
                select clients.id, phone, operator_code, timezone, suppression_id from clients {wanted.joins}
                where clients.id > job.audience_cursor and clients.id <= job.last and {wanted.condition}
                order by clients.id
            ) client
            returning mailing_id, id, status, due_at
        )
        select job.id, job.audience_limit, last, looked_at, coalesce(number, 0) as number,
               coalesce(skipped, 0) as skipped, first_id, last_id, opens_at, waiting
        from job left join ({_PUT_OFF}) put_off on put_off.mailing_id = job.id left join (
            select mailing_id, count(*) as number, count(*) filter (where status = 'skipped') as skipped,
                   min(id) as first_id, max(id) as last_id
            from created group by mailing_id
        ) made on made.mailing_id = job.id
    """)


# For those who read statements: what a slice is of a filter that has everything, in a segment, too.
_LISTS = {"operator_codes": ["9"], "tags": ["vip"], "imports": [1], "timezones": ["UTC"], "attributes": {"city": [""]}}
_ALL_LISTS = Filter.of_json({**_LISTS, "segments": [1], "exclude": {**_LISTS, "segments": [1], "mailings": [1]}})
_OF_TAGS = Filter(tags=["vip"])
_CREATE = _create(chosen(Audience(Filter(), {}), (), _SPAN_READ, _JOB))
_CREATE_OF_TAGS = _create(chosen(Audience(_OF_TAGS, {}), (), _SPAN_READ, _JOB))
_CREATE_OF_IMPORTS = _create(chosen(Audience(Filter(imports=[1]), {}), (), _SPAN_READ, _JOB))
_OF_ALL = chosen(Audience(_ALL_LISTS, {1: _OF_TAGS}), (1,), _SPAN_READ, _JOB)
_CREATE_OF_ALL = _create(_OF_ALL)

_MOVE_CURSORS = text("""
    update mailings m set audience_limit = moved.audience_limit, audience_cursor = moved.cursor,
        audience = m.audience + moved.count, part = moved.part,
        routing = case when m.part is null then :routing else m.routing end,
        first_message_id = coalesce(m.first_message_id, moved.first_id),
        last_message_id = coalesce(moved.last_id, m.last_message_id),
        launched_at = case when moved.is_complete then now() end
    from unnest(cast(:ids as bigint[]), cast(:audience_limits as bigint[]), cast(:cursors as bigint[]),
                cast(:counts as bigint[]), cast(:parts as integer[]), cast(:first_ids as bigint[]),
                cast(:last_ids as bigint[]), cast(:are_complete as boolean[]))
        as moved (id, audience_limit, cursor, count, part, first_id, last_id, is_complete)
    where m.id = moved.id
""")
