"""What is left of erased clients beside their messages: lines of files, and what was written while they were erased.

An erasure stands in its table until it has been gone through, LATER after it was asked for: by then every transaction
that had seen the client is over, and so is every call. Its phone goes with it.
"""

import json
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from shared.domain.masking import has_phone
from shared.messages.erase import erase_messages, is_erased

LATER = timedelta(minutes=15)
SLICE = 20
"""Batches of refused lines that are looked at in one transaction: each has up to 10 000 lines."""


class Due(NamedTuple):
    id: int
    client_id: int
    phone: int | None


def find_due(connection: Connection, limit: int) -> Sequence[Due]:
    """Erasures whose time has come."""
    return [Due(*row) for row in connection.execute(_DUE, {"later": LATER, "limit": limit})]


_DUE = text("select id, client_id, phone from erasures where at <= now() - :later order by id limit :limit")


def erase_lines(connection: Connection, phones: Collection[int], after: int) -> int | None:
    """Takes the lines with these phones from the next batches of refused lines; the id of the last one, None: there
    are no more. How many were refused stays known."""
    rows = connection.execute(_BATCHES, {"after": after, "limit": SLICE}).all()
    for row in rows:
        left = [line for line in row.lines if not _is_about(line, phones)]
        if len(left) < len(row.lines):
            connection.execute(_SET_LINES if left else _DROP_LINES, {"id": row.id, "lines": json.dumps(left)})
    return rows[-1].id if rows else None


_BATCHES = text("select id, lines from refused_lines where id > :after order by id limit :limit for update")
_SET_LINES = text("update refused_lines set lines = cast(:lines as json) where id = :id")
_DROP_LINES = text("delete from refused_lines where id = :id and cast(:lines as text) is not null")


def erase_shown(connection: Connection, phones: Collection[int], after: int) -> int | None:
    """The same with the values that imports show of their refused lines."""
    rows = connection.execute(_IMPORTS, {"after": after, "limit": SLICE}).all()
    for row in rows:
        left = [{**one, "value": ""} if _is_about(one.get("value"), phones) else one for one in row.errors]
        if left != row.errors:
            connection.execute(_SET_ERRORS, {"id": row.id, "errors": json.dumps(left)})
    return rows[-1].id if rows else None


_IMPORTS = text("""
    select id, errors from imports where id > :after and errors <> '[]' order by id limit :limit for update
""")
_SET_ERRORS = text("update imports set errors = cast(:errors as jsonb) where id = :id")


def _is_about(said: Any, phones: Collection[int]) -> bool:
    """Whether a cell, or one of a line, has one of the phones."""
    cells = said if isinstance(said, list) else [said]
    return any(isinstance(cell, str) and has_phone(cell, phone) for cell in cells for phone in phones)


def finish(connection: Connection, done: Sequence[Due]) -> int:
    """What was written meanwhile goes, and the erasures with their phones; how many.

    Where somebody has a message locked it stays for the next time.
    """
    for one in done:
        erase_messages(connection, one.client_id)
    through = [one.id for one in done if is_erased(connection, one.client_id)]
    return connection.execute(_FORGET, {"ids": through}).rowcount


_FORGET = text("delete from erasures where id = any(:ids)")
