"""The launch: the messages of a mailing's audience are created, slice by slice."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

from shared.audience.chosen import Chosen, Span, chosen, read_parts
from shared.domain.filter import Exclusion, Filter, by_name
from shared.domain.gates.window import openings_of
from shared.domain.message import MessageState
from shared.domain.reason import Reason
from shared.domain.segments import Audience, Segment
from shared.ledger.entries import Entries
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
    are `expired` from the start. Those to a suppressed phone are `skipped` from the start. Those whose window is closed
    are due at its opening. All of them are in one part, the one that is filled when the first slice is made.
    """
    mailing = connection.execute(_LOCK_LAUNCH, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None:
        return Slice(0, complete=True)
    state = MessageState.EXPIRED if mailing.over else MessageState.PENDING
    zones, openings = _openings(connection, mailing, span)
    created = {"state": state, "span": span, "zones": zones, "openings": openings, "reason": Reason.OPTED_OUT}
    audience = _audience(mailing)
    wanted = chosen(audience, read_parts(connection, audience), _SPAN_READ)
    row = connection.execute(_create(wanted), {**mailing._mapping, **created, **wanted.values}).one()
    complete = row.looked_at < span
    cursor = mailing.audience_limit if complete else row.last
    moved = {"cursor": cursor, "count": row.number, "complete": complete}
    connection.execute(_MOVE_CURSOR, {**mailing._mapping, **moved, "first_id": row.first_id, "last_id": row.last_id})
    if row.number > row.skipped:
        entries.created(mailing_id, state, row.number - row.skipped)
    if row.skipped:
        entries.created(mailing_id, MessageState.SKIPPED, row.skipped, Reason.OPTED_OUT)
        count_skipped(Reason.OPTED_OUT, row.skipped)
    if complete:
        entries.look(mailing_id)  # it may be over already, if it is for nobody
    return Slice(row.number, complete, launched=complete, part=mailing.part)


def _audience(mailing: AnyRow) -> Audience:
    """As it was when the mailing was saved."""
    criteria = Filter(
        mailing.operator_codes, mailing.tags, mailing.imports, mailing.timezones, by_name(mailing.attributes),
        mailing.segments, Exclusion.of_json(mailing.exclude),
    )  # fmt: skip
    return Audience.of(criteria, map(Segment.of_json, mailing.fixed_segments))


def _openings(connection: Connection, mailing: AnyRow, span: int) -> tuple[list[str], list[datetime]]:
    """The time zones of the clients of a span in which the window is closed now, and when it opens in each."""
    if mailing.window_from is None:
        return [], []
    hold_zones(connection)
    zones = connection.scalars(_ZONES, {**mailing._mapping, "span": span}).all()
    openings = openings_of(mailing, zones)
    return list(openings), list(openings.values())


_LOCK_LAUNCH = text("""
    select id, operator_codes, tags, imports, timezones, attributes, segments, exclude, fixed_segments,
           audience_cursor, ends_at <= now() as over,
           coalesce(audience_limit, (select coalesce(max(id), 0) from clients)) as audience_limit,
           coalesce(part, (select min(number) from parts where closed_at is null)) as part,
           window_from, window_until, now() as now
    from mailings where id = :mailing_id and launched_at is null and cancelled_at is null and starts_at <= now()
    for update
""")

# The end of the span comes from the index alone. It is not known to the planner, which therefore expects few clients
# and reads them by the index, whatever the statistics say about ids.
_SPAN = """
    span as materialized (
        select max(id) as last, count(*) as looked_at from (
            select id from clients where id > :audience_cursor and id <= :audience_limit order by id limit :span
        ) ids
    )
"""
_OF_SPAN = "clients where id > :audience_cursor and id <= (select last from span)"

_ZONES = text(f"with {_SPAN} select distinct timezone from {_OF_SPAN}")


_SPAN_READ = Span("cast(:audience_cursor as bigint)", "(select last from span)")


def _create(wanted: Chosen) -> TextClause:
    """array_position: of the few zones in which the window is closed. Where there are none it costs nothing."""
    return text(f"""
        with {", ".join((_SPAN, *wanted.parts))}, created as (
            insert into messages (part, mailing_id, client_id, phone, status, due_at, error)
            select :part, :id, id, phone,
                case when suppression_id is null then cast(:state as message_state) else 'skipped' end,
                case when :state = 'pending' and suppression_id is null then
                coalesce((cast(:openings as timestamptz[]))[array_position(cast(:zones as text[]), timezone::text)],
                         now()) end,
                case when suppression_id is not null then :reason end
            from clients {wanted.joins}
            where id > :audience_cursor and id <= (select last from span) and {wanted.condition}
            order by id
            returning id, status
        )
        select number, skipped, first_id, last_id, last, looked_at
        from span, (select count(*) as number, count(*) filter (where status = 'skipped') as skipped,
                           min(id) as first_id, max(id) as last_id from created) created
    """)


# For those who read statements: what a slice is of a filter that has everything, in a segment, too.
_LISTS = {"operator_codes": ["9"], "tags": ["vip"], "imports": [1], "timezones": ["UTC"], "attributes": {"city": [""]}}
_ALL_LISTS = Filter.of_json({**_LISTS, "segments": [1], "exclude": {**_LISTS, "segments": [1], "mailings": [1]}})
_OF_TAGS = Filter(tags=["vip"])
_CREATE = _create(chosen(Audience(Filter(), {}), (), _SPAN_READ))
_CREATE_OF_TAGS = _create(chosen(Audience(_OF_TAGS, {}), (), _SPAN_READ))
_CREATE_OF_IMPORTS = _create(chosen(Audience(Filter(imports=[1]), {}), (), _SPAN_READ))
_OF_ALL = chosen(Audience(_ALL_LISTS, {1: _OF_TAGS}), (1,), _SPAN_READ)
_CREATE_OF_ALL = _create(_OF_ALL)

_MOVE_CURSOR = text("""
    update mailings set audience_limit = :audience_limit, audience_cursor = :cursor, audience = audience + :count,
        part = :part, first_message_id = coalesce(first_message_id, :first_id),
        last_message_id = coalesce(:last_id, last_message_id),
        launched_at = case when :complete then now() end
    where id = :id
""")
