"""A batch of clients on its way into the directory, in a transaction of the caller's."""

import io
import json
from collections.abc import Mapping
from json.encoder import encode_basestring as _string
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from api_service.directory.files.lines import Row
from shared.audience.imports import KEEP
from shared.domain.attributes import MAX, Value

_CACHED = 10_000  # values; beyond, each is looked at anew


class Prepared(NamedTuple):
    """Rows of clients, each with a phone of its own, as COPY takes them."""

    clients: int
    lines: bytes


def prepare(rows: Mapping[str, Row]) -> Prepared:
    """By phone. In the order of the index on phones, so that its pages are near.

    Apart from storing them, since it takes the interpreter, for which a thread that waits for the database has to stand
    in line: whoever reads the lines does it.
    """
    return Prepared(len(rows), "".join([_line(phone, rows[phone]) for phone in sorted(rows)]).encode())


def store(connection: Connection, import_id: int, rows: Prepared, default_timezone: str) -> tuple[int, list[str]]:
    """How many of them are new clients, and the phones of those who were known and have no room for more attributes:
    of them nothing is stored. Whom the import took is kept with it.

    First the new ones, then the others as they are by then: so a client who is created elsewhere at this moment is
    found by one of the two.
    """
    _stage(connection, rows, _STAGE_IN_TURN)
    values = {"import_id": import_id, "timezone": default_timezone, "most": MAX}
    created = connection.execute(_CREATE, values).scalar_one()
    full = list(connection.scalars(_CHANGE, values)) if created < rows.clients else []
    return created, full


def look(connection: Connection, rows: Prepared) -> tuple[set[str], list[str]]:
    """The phones of those who are known, and of those among them who have no room. Changes nothing."""
    _stage(connection, rows, _STAGE)
    known = connection.execute(_LOOK, {"most": MAX}).all()
    return {row.phone for row in known}, [row.phone for row in known if row.is_full]


def _stage(connection: Connection, rows: Prepared, statement: TextClause) -> None:
    connection.execute(statement)
    cursor = connection.connection.cursor()
    try:
        cursor.copy_expert("copy staged from stdin", io.BytesIO(rows.lines), _PIECE)
    except psycopg2.Error as error:
        raise DBAPIError.instance("copy", None, error, psycopg2.Error) from error


def _line(phone: str, row: Row) -> str:
    """As COPY takes it."""
    attributes = _written(row.attributes) if row.attributes else _ABSENT
    return f"{phone}\t{_copied[row.operator_code]}\t{_copied[row.tag]}\t{_copied[row.timezone]}\t{attributes}\n"


def _written(attributes: Mapping[str, Value]) -> str:
    """As JSON, which has no breaks and tabs of its own. `json.dumps` takes four times as long."""
    members = [
        f"{_string(name)}:{_string(value) if isinstance(value, str) else json.dumps(value)}"
        for name, value in attributes.items()
    ]
    return "{" + ",".join(members).replace("\\", r"\\") + "}"


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

_PIECE = 2**20
"""Bytes. For each piece the interpreter is asked for, which may take longer than the piece does."""

# Until the table is analyzed the planner takes a new directory for a small one, and reads all of it for every batch.
_STAGE = text("""
    create temporary table staged (phone bigint, operator_code text, tag text, timezone text, attributes jsonb)
    on commit drop;
    select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
""")
LOCK = 0x696D706F  # "impo"
# One batch at a time, of all imports: a batch is several statements about many rows, and two that have rows in common
# would wait for each other in a circle. The lock comes first, so that whoever waits too long for it begins anew at no
# cost; and the next statement sees what the batch before has committed.
# The commit of a batch does not wait for the disk: the end of its import does, and for all that was written before.
_STAGE_IN_TURN = text(f"""
    select pg_advisory_xact_lock({LOCK}), set_config('synchronous_commit', 'off', true);
    {_STAGE.text}
""")

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
        select c.id, c.revision, s.*, {_IS_FULL} as is_full,
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
    )
    select cast(phone as text) from known where is_full
""")
_LOOK = text(f"""
    select cast(s.phone as text) as phone, {_IS_FULL} as is_full from staged s join clients c on c.phone = s.phone
""")
