"""Ids of messages are given once: a database that is behind what was given before is not worked with.

A provider takes a second message with an id that it knows for a repeat of the first, and sends it to nobody. After a
restore from a backup, or a failover that lost the last moments, `message_ids` would give such ids. The database cannot
know that, so others remember for it: RabbitMQ what the leader tells it, and a process what it has seen.
"""

import threading
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.database.question import ask


class IdsBehind(psycopg2.OperationalError):
    """As if the database were away: whoever meets it tries again later, when somebody has set the ids ahead."""


class GivenIds:
    """The highest id that this process knows to have been given. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._highest = 0

    def learn(self, number: int) -> int:
        """The highest that is known now."""
        with self._lock:
            self._highest = max(self._highest, number)
            return self._highest

    def why_behind(self, last: int) -> str | None:
        """Why a database that gave that id last is not to be worked with; None where it may be."""
        if last >= self._highest:
            return None
        return (
            f"The database would give ids of messages again, as after a restore from a backup: it is at {last}, and"
            f" {self._highest} was given. `python -m shared.recover` sets them ahead, see docs/backups.md"
        )

    def check(self, connection: Any, _record: object = None) -> None:
        """Of a new connection of psycopg2. Raises IdsBehind where its database would give ids again."""
        (last,) = ask(connection, _LAST)
        if why := self.why_behind(last):
            raise IdsBehind(why)


def why_behind(engine: Engine, ids: GivenIds) -> str | None:
    """The sentence where the database is behind; None where it is not, or does not answer.

    engine: one whose connections do not check it themselves.
    """
    try:
        with engine.connect() as connection:
            why = ids.why_behind(last_given(connection))
    except SQLAlchemyError:
        return None
    return f"{why}." if why else None


def last_given(connection: Connection) -> int:
    """0: none yet, or there is no schema."""
    return int(connection.execute(text(_LAST)).scalar_one())


# A database without a schema has given none. So who connects in the middle of a restore is refused, too.
_LAST = """
    select coalesce(max(last_value), 0) from pg_sequences
    where sequencename = 'message_ids' and schemaname = any(current_schemas(false))
"""
