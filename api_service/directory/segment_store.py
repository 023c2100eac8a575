"""The segments, in the database."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from api_service.directory.segment_schema import UncountedBecause
from api_service.web.page import Listing, Part, cut
from api_service.web.problems import InUse, Invalid, NotFound
from api_service.web.time_limit import in_time
from shared.audience import named
from shared.audience.counting import count_clients
from shared.database.models import Segment
from shared.domain import segments
from shared.domain.filter import Filter
from shared.domain.segments import Audience


def list_part(session: Session, part: Part, filters: Mapping[str, Any]) -> Listing[Segment]:
    """In the order of ids, as of one moment. filters: values by member."""
    return cut(session, select(Segment).filter_by(**filters), Segment.id, part)


def find(session: Session, segment_id: int, *, lock: bool = False) -> Segment:
    """lock: nobody else changes or names it until the end of the transaction. Raises NotFound."""
    segment = session.get(Segment, segment_id, with_for_update=lock or None)
    if segment is None:
        raise NotFound(f"There is no segment {segment_id}.")
    return segment


def find_some(session: Session, ids: Collection[int]) -> Sequence[Segment]:
    """In the order of ids."""
    return session.scalars(select(Segment).where(Segment.id.in_(ids)).order_by(Segment.id)).all()


def one_by_one(connection: Connection) -> None:
    """Until the end of the transaction no other one changes which segments name which: of two that close a circle, or
    make one too deep, the second would not see the first."""
    connection.execute(_ONE_BY_ONE)


_ONE_BY_ONE = text("lock table segments in share row exclusive mode")


def create(session: Session, values: Mapping[str, Any]) -> Segment:
    """Raises Invalid."""
    segment = Segment(**values, **_names(session, values["filter"]))
    session.add(segment)
    session.flush()
    return segment


def change(session: Session, segment: Segment, values: Mapping[str, Any]) -> set[str]:
    """Sets the fields of a locked segment and returns those that really changed. Raises Invalid."""
    changed = {name for name, value in values.items() if getattr(segment, name) != value}
    if "filter" in changed:
        wanted = values["filter"]
        _check_graph(session.connection(), segment.id, wanted)
        for name, value in _names(session, wanted).items():
            setattr(segment, name, value)
    for name in changed:
        setattr(segment, name, values[name])
    segment.revision += bool(changed)
    session.flush()
    return changed


class User(NamedTuple):
    """What names a segment, which stays as long as it does. thing: `segment` or `mailing`. is_hidden: whoever asks has
    no page of it."""

    thing: str
    id: int
    name: str
    is_draft: bool
    is_hidden: bool


def users(connection: Connection, segment_id: int, *, is_test: bool = False) -> list[User]:
    """The first of them. is_test: whoever asks sees tests, and no other mailings."""
    rows = connection.execute(_USERS, {"segment_id": segment_id, "is_test": is_test, "most": USERS})
    return [User(*row) for row in rows]


def check_unused(connection: Connection, segment_id: int) -> None:
    """Raises InUse."""
    if found := users(connection, segment_id):
        raise InUse(f"Segment {segment_id} is named by {', '.join(f'{user.thing} {user.id}' for user in found)}.")


USERS = 10
"""Of those that name a segment are told."""

_USERS = text(f"""
    (select 'segment' as thing, id, name, false as is_draft, false as is_hidden from segments
     where named_segments @> array[cast(:segment_id as bigint)] order by id limit :most)
    union all
    (select 'mailing', id, name, draft, test <> :is_test or trial_of is not null from mailings
     where {named.IS_TO_START} and deleted_at is null and :segment_id = any(named_segments) order by id limit :most)
    limit :most
""")


def count(session: Session, segment: Segment, seconds: float) -> tuple[int | None, UncountedBecause | None]:
    """How many clients are in it, or why that is not said."""
    connection = session.connection()
    found = named.read_segments(connection, segment.filter.named_segments)
    audience = Audience.of(segment.filter, found)
    if named.are_gone(connection, audience):
        return None, UncountedBecause.ROWS_GONE
    number = in_time(connection, seconds, lambda: count_clients(connection, audience))
    return number, None if number is not None else UncountedBecause.TIME


def _names(session: Session, wanted: Filter) -> dict[str, Sequence[int]]:
    """Columns that say what a segment with this filter names; that stays until the end of the transaction, and then
    because it is named. Raises Invalid."""
    try:
        named.look_up(session.connection(), wanted, is_segment=True)
    except named.Unknown as error:
        raise Invalid({"filter": error.faults}) from error
    return {"named_segments": wanted.named_segments, "named_imports": sorted(wanted.named_imports)}


def _check_graph(connection: Connection, segment_id: int, wanted: Filter) -> None:
    """That this filter makes of it no part of a circle, and nothing too large of those that name it. Raises Invalid."""
    graph = {**named.read_graph(connection, segment_id, wanted.named_segments), segment_id: wanted.named_segments}
    if way := segments.circle(graph, segment_id):
        sentence = f"Segments would name each other in a circle: {', '.join(map(str, way))}."
        at_fault = {"segments": [sentence]}
        raise Invalid({"filter": at_fault if way[1] in wanted.segments else {"exclude": at_fault}})
    for above in sorted(segments.namers(graph, segment_id)):
        if fault := segments.fault(graph, [above]):
            raise Invalid({"filter": {"segments": [f"Segment {above} names this one. {fault}"]}})
