"""The register of days whose report has been sent, and the lock under which a reporter sends one."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from sqlalchemy import Connection, Engine, text

from shared.clock import ticks
from shared.database.engine import try_lock

_LOCK = 0x72657074  # "rept"


@contextmanager
def turn(engine: Engine, patience: float = 0.0) -> Iterator[Connection | None]:
    """A connection that holds the reporters' lock until the end; None where another reporter has it.

    patience: seconds to wait for that one. The connection commits each statement by itself: no transaction stays open
    while a mail is under way.
    """
    connection = engine.connect()
    try:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool: the lock lives as long as the session does
        until = ticks() + patience
        while not (taken := try_lock(connection, _LOCK)) and ticks() < until:
            time.sleep(0.2)
        yield connection if taken else None
        if taken:  # or else the server lets go of it only when it notices that the session is over
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
    finally:
        connection.close()


def span(connection: Connection) -> tuple[date, date] | None:
    """The first and the last day in the register; None while it is empty."""
    first, last = connection.execute(text("select min(day), max(day) from reports")).one()
    return None if first is None else (first, last)


def last_sent_at(connection: Connection) -> datetime | None:
    """Of whichever reporter it was."""
    sent_at: datetime | None = connection.scalar(text("select max(sent_at) from reports"))
    return sent_at


def has(connection: Connection, day: date) -> bool:
    return bool(connection.scalar(text("select exists (select from reports where day = :day)"), {"day": day}))


def add(connection: Connection, day: date) -> None:
    """Twice is harmless."""
    connection.execute(text("insert into reports (day) values (:day) on conflict (day) do nothing"), {"day": day})


def first_mailing_at(connection: Connection) -> datetime | None:
    """When the first mailing was created that is really sent: before that there was nothing to report."""
    created_at: datetime | None = connection.scalar(_FIRST)
    return created_at


_FIRST = text("select created_at from mailings where not test order by id limit 1")


def deployment(connection: Connection) -> str:
    """A short name of this database, unlike that of any other one."""
    statement = text("select system_identifier || '/' || current_database() from pg_control_system()")
    return hashlib.sha256(str(connection.scalar(statement)).encode()).hexdigest()[:16]
