"""What can be done with segments: a function is a use case, and one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api_service.directory import segment_store as store
from api_service.directory.segment_schema import COUNT_SECONDS, SegmentSchema, UncountedBecause
from api_service.web.filters import for_audit
from api_service.web.page import Listing, Part
from api_service.web.schema import settable
from api_service.web.work import Work
from shared.database.models import Segment

_told = SegmentSchema(only=settable(SegmentSchema))


def list_part(work: Work, part: Part, filters: Mapping[str, Any]) -> Listing[Segment]:
    """In the order of ids. filters: values by member."""
    with work.look() as session:
        return store.list_part(session, part, filters)


def find(work: Work, segment_id: int) -> dict[str, Any]:
    """With its count. Raises NotFound."""
    with work.look() as session:
        segment = store.find(session, segment_id)
        count, because = store.count(session, segment, COUNT_SECONDS)
    members = {name: getattr(segment, name) for name in SegmentSchema._declared_fields}
    return {**members, "count": count, "uncounted_because": because}


def find_some(work: Work, ids: Collection[int]) -> Sequence[Segment]:
    """Those of them that there are, in the order of ids, without counts."""
    with work.read() as session:
        return store.find_some(session, ids)


@dataclass(frozen=True, slots=True)
class Seen:
    """A segment as somebody looks at it. names: of the segments that its filter names, by id. users: what names it.
    uncounted_because: why there is no count, where one was asked for."""

    segment: Segment
    names: Mapping[int, str]
    users: Sequence[store.User]
    count: int | None
    uncounted_because: UncountedBecause | None


def see(work: Work, segment_id: int, seconds: float | None = None) -> Seen:
    """With its count, if that takes no longer; None: without. Raises NotFound."""
    with work.look() as session:
        segment = store.find(session, segment_id)
        named = store.find_some(session, segment.filter.named_segments)
        users = store.users(session.connection(), segment_id, is_test=work.is_test)
        counted = (None, None) if seconds is None else store.count(session, segment, seconds)
        return Seen(segment, {one.id: one.name for one in named}, users, *counted)


def create(work: Work, values: Mapping[str, Any]) -> Segment:
    """Raises Invalid."""
    with work.act() as act:
        store.one_by_one(act.connection)
        segment = store.create(act.session, values)
        act.note("create", "segment", segment.id, values.keys(), after=_values(segment))
    return segment


def change(work: Work, segment_id: int, values: Mapping[str, Any]) -> Segment:
    """Mailings that are saved already stay as they are. Raises NotFound, Changed, Invalid."""
    with work.act() as act:
        store.one_by_one(act.connection)
        segment = store.find(act.session, segment_id, lock=True)
        act.expect(segment.revision)
        before = _values(segment)
        if changed := store.change(act.session, segment, values):
            after = _values(segment)
            act.note(
                "change",
                "segment",
                segment_id,
                changed,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
    return segment


def delete(work: Work, segment_id: int) -> None:
    """Raises NotFound, Changed, InUse."""
    with work.act() as act:
        store.one_by_one(act.connection)
        segment = store.find(act.session, segment_id, lock=True)
        act.expect(segment.revision)
        store.check_unused(act.connection, segment_id)
        act.session.delete(segment)
        act.session.flush()
        act.note("delete", "segment", segment_id)


def _values(segment: Segment) -> dict[str, Any]:
    """As in JSON."""
    values: dict[str, Any] = _told.dump(segment)
    return {**values, "filter": for_audit(values["filter"])}
