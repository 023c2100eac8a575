"""Who changed what: rows that are only ever added, in the transaction that makes the change.

No personal values get into them: a client is named by their id, and of what was changed in them only the names.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. by: `key <id>`, `command`, or `anybody` where no key is needed. owner: whose references they give (see
    `reference`); of a key, its name. request_id: of a request."""

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


_WRITE = text("""
    insert into audit (by, request_id, action, thing, thing_id, members, before, after) values
    (:by, :request_id, :action, :thing, :thing_id, :members, cast(:before as jsonb), cast(:after as jsonb))
""")

NOTE = """
    noted as (
        insert into audit (by, request_id, action, thing, thing_id)
        select :by, :request_id, '{action}', '{thing}', cast(id as text) from {rows}
    )
"""
"""A part of a statement that does the rest, too: `rows` is its part that gives the ids."""
