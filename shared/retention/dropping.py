"""How a part goes: detached and dropped, table by table, while everything else goes on.

Each step is seen in the catalogue, so whoever comes next goes on where somebody was killed. Nothing here waits for a
lock that a claim, a launch or a reader would then have to wait behind: `detach … concurrently` takes none, and waits
for those that use the table to come to their end, however long that takes; what is dropped is no part any more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from psycopg2 import errorcodes
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from shared.database import parts
from shared.database.engine import another_engine
from shared.database.parts import table_of

TABLES = parts.TABLES[::-1]
"""Those that have parts: what belongs to messages before these."""

DROP_PATIENCE = 0.1
"""Seconds that a drop waits for somebody who reads the table by its own name."""

_CHECK_CLIENT = 5
"""Seconds after which the server sees that whoever waits for a detach is gone."""


class Standing(StrEnum):
    """Where a table stands on its way out."""

    ATTACHED = "attached"
    PENDING = "pending"  # the detach has begun: new statements do not see it any more
    DETACHED = "detached"
    GONE = "gone"


@contextmanager
def patient_connection(engine: Engine) -> Iterator[Connection]:
    """A connection of its own to the same database, for statements that may take hours and are no transactions.

    Its name in pg_stat_activity is `retention`.
    """
    own = another_engine(engine, "retention", pool_size=1, statement_timeout=0)
    try:
        with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(_SETTINGS, {"check": f"{_CHECK_CLIENT}s"})
            yield connection
    finally:
        own.dispose()


_SETTINGS = text("""
    select set_config('client_connection_check_interval', :check, false)
""")


def drop_part(connection: Connection, number: int) -> None:
    """Removes the tables of a part, as far as they are still there. connection: a `patient_connection`.

    Raises:
        Busy: somebody reads a table of it by its own name, or works on it as we do; to be tried again.
    """
    with _said_as_busy():
        for name in TABLES:
            finalize_pending(connection, name)
            if standing(connection, name, number) is Standing.ATTACHED:
                connection.execute(text(f"alter table {name} detach partition {table_of(name, number)} concurrently"))
            if standing(connection, name, number) is Standing.DETACHED:
                with _patience(connection):
                    connection.execute(text(f"drop table if exists {table_of(name, number)}"))


def finalize_pending(connection: Connection, name: str) -> None:
    """Brings a detach to its end whose process was killed: there can be one in a table, and no other before its end."""
    for part in connection.scalars(_PENDING, {"name": name}):
        connection.execute(text(f"alter table {name} detach partition {part} finalize"))


_PENDING = text("""
    select inhrelid::regclass::text from pg_inherits
    where inhparent = cast(:name as regclass) and inhdetachpending
""")


def standing(connection: Connection, name: str, number: int) -> Standing:
    """Where the table of that part stands. name: of the table that has the parts."""
    row = connection.execute(_STANDING, {"name": name, "part": table_of(name, number)}).one()
    if row.oid is None:
        return Standing.GONE
    if row.is_pending is None:
        return Standing.DETACHED
    return Standing.PENDING if row.is_pending else Standing.ATTACHED


_STANDING = text("""
    select to_regclass(:part) as oid, (
        select inhdetachpending from pg_inherits
        where inhrelid = to_regclass(:part) and inhparent = cast(:name as regclass)) as is_pending
""")


class Busy(Exception):
    """It cannot be done now. Nothing is harmed, and the next try goes on where this one ended."""


_BUSY = {
    errorcodes.LOCK_NOT_AVAILABLE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE,  # another one was made to wait meanwhile
    errorcodes.UNDEFINED_TABLE,  # somebody was faster
}


@contextmanager
def _said_as_busy() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) not in _BUSY:
            raise
        raise Busy(str(error.orig).partition("\n")[0]) from error


@contextmanager
def _patience(connection: Connection) -> Iterator[None]:
    connection.execute(_LOCK_TIMEOUT, {"lock": f"{DROP_PATIENCE * 1000:.0f}"})
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.execute(_LOCK_TIMEOUT, {"lock": "0"})


_LOCK_TIMEOUT = text("select set_config('lock_timeout', :lock, false)")
