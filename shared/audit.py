"""Who changed what: rows that are only ever added, in the transaction that makes the change.

No personal values get into them: a client is named by their id, and of what was changed in them only the names.

Ids are given before a transaction commits, so that of two lines the later one may be seen first. Whoever goes through
them by id must not pass by one that is still to come: a transaction says before it writes which lines were there, and
readers see those up to which nothing is to come any more.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. by: `key <id>`, `person <id>`, `command`, or `anybody` where no key is needed. owner: whose
    references they give (see `reference`); of a key, its name. request_id: of a request."""

    by: str
    owner: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """action: a verb. thing, thing_id: what it was done to. members: those that it changed. before, after: their
    values, as in JSON, where they are nobody's."""

    action: str
    thing: str
    thing_id: int | str
    members: Collection[str] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def write(connection: Connection, actor: Actor, changes: Iterable[Change]) -> None:
    if rows := [_row(actor, change) for change in changes]:
        connection.execute(_WRITE, rows)


def last_complete(connection: Connection) -> int:
    """The id up to which every line is there that will ever be. What is read in a later statement has all of them."""
    last: int = connection.execute(_LAST_COMPLETE).scalar_one()
    return last


def was_deleted(
    connection: Connection, thing: str, thing_id: int | str, by: Sequence[str] = ("delete", "erase")
) -> bool:
    """Whether something that is not there any more was deleted, or erased."""
    return bool(connection.scalar(_WAS_DELETED, {"thing": thing, "thing_id": str(thing_id), "by": list(by)}))


_WAS_DELETED = text("""
    select exists (
        select from audit where thing = :thing and thing_id = :thing_id and action = any(cast(:by as text[])))
""")


def _row(actor: Actor, change: Change) -> dict[str, Any]:
    return {
        "by": actor.by,
        "request_id": actor.request_id,
        "action": change.action,
        "thing": change.thing,
        "thing_id": str(change.thing_id),
        "members": sorted(change.members),
        "before": None if change.before is None else json.dumps(change.before),
        "after": None if change.after is None else json.dumps(change.after),
    }


_LOCK = 0x61756469  # "audi"

# The lock lasts as long as the transaction. Its second number is that of the last line which the statement sees, modulo
# 2^31: the ids that it is given are greater.
_COMING = f"""
    coming as materialized (
        select pg_advisory_xact_lock_shared({_LOCK}, (coalesce(max(id), 0) & 2147483647)::int) from audit
    )
"""

_WRITE = text(f"""
    with {_COMING}
    insert into audit (by, request_id, action, thing, thing_id, members, before, after)
    select :by, :request_id, :action, :thing, :thing_id, cast(:members as text[]), cast(:before as jsonb),
        cast(:after as jsonb)
    from coming
""")

NOTE = f"""
    {_COMING}, noted as (
        insert into audit (by, request_id, action, thing, thing_id)
        select :by, :request_id, '{{action}}', '{{thing}}', cast(id as text) from {{rows}}, coming
    )
"""
"""A part of a statement that does the rest, too: `rows` is its part that gives the ids."""

# The locks are looked at when the last line has been: one that is taken later is of a line behind it.
_LAST_COMPLETE = text(f"""
    select coalesce(min(last - greatest(0, ((last - objid::bigint + 1073741824) & 2147483647) - 1073741824)), last, 0)
    from (select max(id) as last from audit) seen
    left join pg_locks on locktype = 'advisory' and classid = {_LOCK} and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())
    group by last
""")
