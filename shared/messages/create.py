"""The launch: the messages of mailings' audiences are created, slice by slice."""

import json
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from shared import lanes
from shared.audience.chosen import Chosen, chosen, read_parts
from shared.domain.filter import Exclusion, Filter, by_name
from shared.domain.gates.window import openings_of
from shared.domain.message import MessageState
from shared.domain.reason import Reason
from shared.domain.segments import Audience, Segment
from shared.lanes import Route
from shared.ledger.entries import Entries
from shared.messages.create_retry import create_span
from shared.messages.create_statement import JOB, SPAN, SPAN_READ, creating
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


def create_messages(
    connection: Connection, entries: Entries, mailing_id: int, span: int, *, all_open: bool = False
) -> Slice:
    """Looks at the next `span` clients of the directory, creates the messages of those who match, and moves the
    mailing's cursor behind them.

    What a slice costs is bounded by the clients that it looks at, and not by those who match: it may be none of them.
    Ids that nobody has any more cost nothing. The snapshot covers the clients that exist when the first slice is made.
    A mailing that is over by then is launched all the same, so that everybody can see what was not sent: its messages
    are `expired` from the start. A retry looks at messages of its source in the place of clients, and its cursor is one
    of their ids. Those to a suppressed phone are `skipped` from the start. Those whose window is closed are due at its
    opening. All of them are in one part, the one that is filled when the first slice is made. Each is in the lane of
    those providers that may take it by the settings of now.

    all_open: those of a mailing that is over are open, too; the caller gives them another end in this transaction.
    """
    mailings = connection.execute(_LOCK_LAUNCH, {"mailing_ids": [mailing_id], "all_open": all_open}).all()
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
    rows = connection.execute(_LOCK_FREE, {"mailing_ids": sorted(mailing_ids), "all_open": False})
    free = {mailing.id: mailing for mailing in rows if mailing.retry_of is None}
    return _create_slices(connection, entries, [free[each] for each in mailing_ids if each in free], span)


def _create_slices(connection: Connection, entries: Entries, mailings: Sequence[AnyRow], span: int) -> dict[int, Slice]:
    """One statement for all that are written alike."""
    openings, known_lanes = _openings(connection, mailings, span), lanes.read(connection)
    alike: dict[Hashable, list[_Launched]] = defaultdict(list)
    for mailing in mailings:
        audience = _audience(mailing)
        wanted = chosen(audience, read_parts(connection, audience), SPAN_READ, JOB)
        route = known_lanes.route(mailing.provider, mailing.sender, test=mailing.test)
        launched = _Launched(mailing, wanted, openings.get(mailing.id, {}), route)
        alike[launched.kind].append(launched)
    rows: list[tuple[AnyRow, AnyRow]] = []
    for some in alike.values():
        values = {"span": span, "reason": Reason.OPTED_OUT, "jobs": json.dumps([one.job for one in some])}
        created = connection.execute(creating(some[0].wanted), {**values, **some[0].bound}).all()
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
           audience_cursor, ends_at <= now() and not :all_open as over,
           retry_of, retry_root, retry_states, retry_errors,
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

_ZONES = text(f"""
    select asked.id, array(
        select distinct timezone from clients where id > asked.audience_cursor and id <= span.last) as zones
    from unnest(cast(:ids as bigint[]), cast(:cursors as bigint[]), cast(:limits as bigint[]))
        as asked (id, audience_cursor, audience_limit)
    cross join lateral ({SPAN}) span
""")


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
