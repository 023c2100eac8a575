"""A batch of clients on its way into the directory, in a transaction of the caller's."""

import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from api_service.directory.files.lines import Row
from shared.audience.imports import KEEP
from shared.domain.attributes import MAX

Rows = Mapping[str, Row]
"""By phone."""

_json = json.JSONEncoder(ensure_ascii=False).encode  # made once: `json.dumps` makes one each time

_CACHED = 10_000  # values; beyond, each is looked at anew


class Stored(NamedTuple):
    """created: how many are new clients. full: the phones of those who were known and have no room for more attributes:
    of them nothing is stored. moved: the ids of those who have another time zone now."""

    created: int
    full: list[str]
    moved: list[int]


def store(connection: Connection, import_id: int, rows: Rows, default_timezone: str) -> Stored:
    """Whom the import took is kept with it.

    First the new ones, then the others as they are by then: so a client who is created elsewhere at this moment is
    found by one of the two.
    """
    _stage(connection, rows)
    connection.execute(_IN_TURN, {"key": _LOCK})
    values = {"import_id": import_id, "timezone": default_timezone, "most": MAX}
    created = connection.execute(_CREATE, values).scalar_one()
    told = connection.execute(_CHANGE, values).all() if created < len(rows) else []
    full, moved = [row.phone for row in told if row.phone], [row.id for row in told if row.id]
    return Stored(created, full, moved)


def look(connection: Connection, rows: Rows) -> tuple[set[str], list[str]]:
    """The phones of those who are known, and of those among them who have no room. Changes nothing."""
    _stage(connection, rows)
    known = connection.execute(_LOOK, {"most": MAX}).all()
    return {row.phone for row in known}, [row.phone for row in known if row.is_full]


def _stage(connection: Connection, rows: Rows) -> None:
    connection.execute(_STAGE)
    # In the order of the index on phones, so that its pages are near.
    lines = "".join([_line(phone, rows[phone]) for phone in sorted(rows)])
    try:
        connection.connection.cursor().copy_expert("copy staged from stdin", io.BytesIO(lines.encode()))
    except psycopg2.Error as error:
        raise DBAPIError.instance("copy", None, error, psycopg2.Error) from error
    connection.execute(_ROW_BY_ROW)


def _line(phone: str, row: Row) -> str:
    """As COPY takes it."""
    attributes = _ABSENT if not row.attributes else _json(row.attributes).translate(_ESCAPES)
    return f"{phone}\t{_copied[row.operator_code]}\t{_copied[row.tag]}\t{_copied[row.timezone]}\t{attributes}\n"


class _Copied(dict[str | None, str]):
    """What COPY takes for a value, made when it is first asked for."""

    def __missing__(self, value: Any) -> str:
        copied: str = value.translate(_ESCAPES)
        if len(self) < _CACHED:
            self[value] = copied
        return copied


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_ABSENT = r"\N"
_copied = _Copied({None: _ABSENT})

_LOCK = 0x696D706F  # "impo": batches of imports wait for each other, else they might do so in a circle

_STAGE = text("""
    create temporary table staged (phone bigint, operator_code text, tag text, timezone text, attributes jsonb)
    on commit drop
""")
_IN_TURN = text("select pg_advisory_xact_lock(:key)")
# Until the table is analyzed the planner takes a new directory for a small one, and reads all of it for every batch.
_ROW_BY_ROW = text("select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)")

_IS_FULL = """
    (s.attributes is not null and not c.attributes @> s.attributes
     and (select count(*) from jsonb_object_keys(c.attributes || s.attributes)) > :most)
"""

_CREATE = text(f"""
    with made as (
        insert into clients (phone, operator_code, tag, timezone, attributes)
        select phone, coalesce(operator_code, substr(cast(phone as text), 2, 3)), coalesce(tag, ''),
               coalesce(timezone, :timezone), coalesce(attributes, '{{}}') from staged
        on conflict (phone) do nothing
        returning id
    ), {KEEP.format(clients="made")}
    select count(*) from made
""")

# xmin: those that were made in this transaction are kept already.
# revision: who is given other attributes over HTTP while the batch waits for them has those, as if the line had come
# first, where both together are too many.
_CHANGE = text(f"""
    with known as materialized (
        select c.id, c.revision, c.timezone as old_timezone, s.*, {_IS_FULL} as is_full,
               (s.operator_code <> c.operator_code or s.tag <> c.tag or s.timezone <> c.timezone
                or not c.attributes @> s.attributes) as differs
        from staged s join clients c on c.phone = s.phone
        where c.xmin <> cast(pg_current_xact_id() as xid)
    ), {KEEP.format(clients="known where not is_full")}, changed as (
        update clients c set
            operator_code = coalesce(s.operator_code, c.operator_code),
            tag = coalesce(s.tag, c.tag),
            timezone = coalesce(s.timezone, c.timezone),
            attributes = case when c.revision <> s.revision and {_IS_FULL} then c.attributes
                              else c.attributes || coalesce(s.attributes, '{{}}') end,
            revision = c.revision + 1
        from known s where c.id = s.id and c.phone = s.phone and s.differs and not s.is_full
        returning c.id, c.timezone <> s.old_timezone as has_moved
    )
    select cast(phone as text) as phone, null as id from known where is_full
    union all
    select null, id from changed where has_moved
""")
_LOOK = text(f"""
    select cast(s.phone as text) as phone, {_IS_FULL} as is_full from staged s join clients c on c.phone = s.phone
""")
