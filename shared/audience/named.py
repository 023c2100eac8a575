"""What a filter names when it is saved: looked up, held to the end of the transaction, and kept because it is named.

A segment stays as long as another one, or a mailing that has not started, names it; an import as long as a segment or
such a mailing does; the messages of a mailing as long as such a mailing leaves out who got them, or is a retry of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain import segments
from shared.domain.filter import Exclusion, Filter
from shared.domain.retention import IMPORTS_DAYS
from shared.domain.segments import MAX_SPELLED_OUT, Audience, Segment

Faults = Mapping[str, Any]
"""Lists of sentences by the members of a filter."""


class Unknown(Exception):
    """A filter names what is not there, or too much of it. faults: where and why."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.faults = faults


def look_up(
    connection: Connection,
    wanted: Filter,
    *,
    is_segment: bool = False,
    is_test: bool = False,
    is_held: bool = True,
) -> tuple[Segment, ...]:
    """The segments that a filter is made of, as they are now, in the order of their ids.

    is_segment: it is one itself, and filters will name it. is_test: the mailings that it may name are tests, and no
    other ones. is_held: they, and the imports and mailings that any of them names, stay until the end of the
    transaction. Raises Unknown.
    """
    held = partial(_found, connection, is_held=is_held)
    there = {"segments": held(_SEGMENTS, wanted.named_segments)}
    _check(wanted, there)
    found = read_segments(connection, wanted.named_segments)
    graph = {one.id: one.filter.named_segments for one in found} | {_ITSELF: wanted.named_segments}
    if sentence := segments.fault(graph, [_ITSELF] if is_segment else wanted.named_segments):
        raise Unknown({"segments": [sentence]})
    audience = Audience.of(wanted, found)
    there["imports"] = held(_IMPORTS, audience.imports)
    there["mailings"] = held(_MAILINGS, wanted.named_mailings, is_shown=True, is_test=is_test)
    _check(wanted, there)
    others = audience.mailings - there["mailings"]
    if gone := others - held(_MAILINGS, others, is_shown=False, is_test=is_test):
        raise Unknown({"segments": [_GONE.format(one.id, each) for one in found
                                    for each in sorted(gone & one.filter.named_mailings)]})  # fmt: skip
    return found


def read_segments(connection: Connection, ids: Iterable[int]) -> tuple[Segment, ...]:
    """With all that they are made of, as of one moment, in the order of their ids; not more of them than can be taken,
    and one."""
    named = sorted(set(ids))
    if not named:
        return ()
    rows = connection.execute(_READ, {"ids": named, "most": MAX_SPELLED_OUT + 1})
    return tuple(Segment(row.id, row.name, row.revision, Filter.of_json(row.filter)) for row in rows)


_ITSELF = 0
"""What has no id yet."""

_REACHED = """
    reached (id) as (
        select unnest(cast(:ids as bigint[]))
        union
        select unnest(s.named_segments) from reached join segments s on s.id = reached.id
    )
"""
_READ = text(f"""
    with recursive {_REACHED}
    select id, name, revision, filter from segments where id in (select id from reached) order by id limit :most
""")


MAILINGS_GONE = "The filter leaves out who got a mailing whose messages are not kept any more."


def are_gone(connection: Connection, audience: Audience) -> bool:
    """Whether it leaves out who got a mailing whose messages are not kept any more."""
    ids = sorted(audience.mailings)
    return bool(ids) and bool(connection.scalar(_ARE_GONE, {"ids": ids}))


_ARE_GONE = text("select exists (select from mailings where id = any(:ids) and messages_removed_at is not null)")


def read_graph(connection: Connection, segment_id: int, named: Iterable[int]) -> dict[int, Sequence[int]]:
    """Which segments name which, of all that a change of one may concern, if it is to name those."""
    rows = connection.execute(_READ_GRAPH, {"id": segment_id, "named": sorted(set(named))})
    return {row.id: row.named_segments for row in rows}


_READ_GRAPH = text("""
    with recursive above (id) as (
        select cast(:id as bigint)
        union
        select s.id from above join segments s on s.named_segments @> array[above.id]
    ), reached (id) as (
        select unnest(cast(:named as bigint[]) || array(select id from above))
        union
        select unnest(s.named_segments) from reached join segments s on s.id = reached.id
    )
    select id, named_segments from segments where id in (select id from reached)
""")


class _Named(NamedTuple):
    """A query for those of `:ids` that are there, as it is and so that they stay."""

    looks: TextClause
    holds: TextClause


def _named(query: str, lock: str) -> _Named:
    return _Named(text(query), text(f"{query} {lock}"))


_SEGMENTS = _named("select id from segments where id = any(:ids) order by id", "for key share")
_IMPORTS = _named("select id from imports where id = any(:ids) order by id", "for key share")

# Whoever gives up the messages of a mailing asks for a lock that this one is in the way of.
_MAILINGS = _named(
    """
    select id from mailings
    where id = any(:ids) and messages_removed_at is null
      and (not :is_shown or deleted_at is null and test = :is_test and trial_of is null)
    order by id
    """,
    "for share",
)


def _found(
    connection: Connection, query: _Named, ids: Iterable[int], *, is_held: bool, **values: Any
) -> frozenset[int]:
    wanted = sorted(set(ids))
    statement = query.holds if is_held else query.looks
    return frozenset(connection.scalars(statement, {"ids": wanted, **values})) if wanted else frozenset()


def _check(wanted: Filter, there: Mapping[str, frozenset[int]]) -> None:
    faults = _missing(wanted, there)
    if excluded := _missing(wanted.exclude, there):
        faults["exclude"] = excluded
    if faults:
        raise Unknown(faults)


def _missing(lists: Filter | Exclusion, there: Mapping[str, frozenset[int]]) -> dict[str, Any]:
    missing = {name: [one for one in getattr(lists, name, ()) if one not in ids] for name, ids in there.items()}
    return {name: [_SENTENCES[name].format(one) for one in ids] for name, ids in missing.items() if ids}


_SENTENCES = {
    "segments": "There is no segment {}.",
    "imports": f"There is no import {{}}; they are kept for {IMPORTS_DAYS} days.",
    "mailings": "There is no mailing {}, or its messages are not kept any more.",
}
_GONE = "Segment {} leaves out who got mailing {}, whose messages are not kept any more."

IS_TO_START = "finished_at is null and launched_at is null and cancelled_at is null"
"""A condition on mailings: they will ask for what they name."""

NAMED_IMPORTS = f"""
    select unnest(imports || named_imports) from mailings where {IS_TO_START}
    union all
    select unnest(named_imports) from segments
"""
NAMED_MAILINGS = f"""
    select unnest(named_mailings) from mailings where {IS_TO_START}
    union all
    select family.id from (
        select retry_root as root from mailings where {IS_TO_START} and retry_root is not null
    ) retry cross join lateral (
        select retry.root as id union all select id from mailings where retry_root = retry.root
    ) family
"""
"""Queries, for whoever removes: ids that are named."""
