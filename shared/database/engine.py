"""Connections to PostgreSQL."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from shared.clock import ticks
from shared.database import embedded, watchdog
from shared.database.roles import Role, take
from shared.settings import Settings

STATEMENT_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5
MARGIN = 2.0
"""Seconds that an answer may take beyond the time-out of the statement, before the connection is given up."""

RESTED = 1.0
"""Seconds in the pool after which a connection is asked whether it is there before it is used."""

_FOREVER = 1e9


def ensure_database(settings: Settings) -> str:
    """The URL of the database; where none is set, of the embedded one, which is started."""
    return settings.database_url or embedded.start(settings.data_dir)


def make_engine(
    url: str,
    name: str,
    *,
    role: Role = Role.SERVICE,
    pool_size: int = 5,
    statement_timeout: float = STATEMENT_TIMEOUT,
) -> Engine:
    """An engine whose connections carry `name` in pg_stat_activity.

    role: what they may do, where the database has roles.
    statement_timeout: seconds, after which the server gives a statement up; MARGIN later we give the server
    up, whatever keeps it from answering. 0: never. That the other side is gone, both sides notice within half a minute.
    """
    patience = statement_timeout + MARGIN if statement_timeout else _FOREVER
    made = create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,  # errors are logged, and phone numbers must not be
        connect_args={
            "application_name": name,
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "connection_factory": watchdog.connections(patience),
            # tcp_…: as above, at the server's end: what we had locked is free soon after this machine was lost.
            # random_page_cost: what is worked on is in memory; at the default, 4, a batch of ids may scan a table.
            "options": f"-c timezone=UTC -c statement_timeout={int(statement_timeout * 1000)}"
            " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
            " -c tcp_user_timeout=30000 -c idle_in_transaction_session_timeout=10000 -c random_page_cost=1.1",
        },
    )
    event.listen(made, "connect", lambda connection, _: take(connection, role))
    event.listen(made, "checkout", _replace_dead)
    event.listen(made, "handle_error", _give_up_read_only)
    event.listen(made, "checkin", _note_the_time)
    event.listen(made, "checkin", _keep_no_read_only)
    return made


@contextmanager
def one_statement(engine: Engine) -> Iterator[Connection]:
    """A connection for one statement that is a transaction by itself: two round trips fewer than in one that is begun
    and committed.

    psycopg2 is told so directly. SQLAlchemy's isolation level AUTOCOMMIT names the usual level when it goes back to it,
    as any other does, and what has been named psycopg2 has to tell the server: a round trip of its own.
    """
    with engine.connect() as connection:
        own: Any = connection.connection.dbapi_connection
        if own.isolation_level is not None:
            own.isolation_level = None
        own.autocommit = True
        try:
            yield connection
        finally:
            try:
                own.autocommit = False
            except psycopg2.Error:  # the connection is lost, or closed already
                connection.invalidate()


def _replace_dead(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Looks whether a connection of the pool has lost its server: the end of the stream then waits to be read. One that
    has waited for long is asked, too: what is silent may be gone.

    The pool's own way, a statement for every use of a connection, costs as much as a statement that does something.
    One that was made this moment is not looked at: if it is lost as well, its first statement says so, where the pool
    would give up with an error that does not speak of the database.
    """
    since = record.info.get(_SINCE)
    if since is None:
        return
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if poll.poll(0) or ticks() - since > RESTED:
        try:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
            connection.rollback()
        except psycopg2.Error as error:
            raise DisconnectionError from error


def _note_the_time(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_SINCE] = ticks()


_SINCE = "in the pool since"


# A session that began while the database took no writes, in a failover or with a full disk, stays read-only for good.


def _give_up_read_only(context: ExceptionContext) -> None:
    """All connections are made anew."""
    if getattr(context.original_exception, "pgcode", None) == errorcodes.READ_ONLY_SQL_TRANSACTION:
        context.is_disconnect = True


def _keep_no_read_only(connection: Any, record: ConnectionPoolEntry) -> None:
    """One that only read does not wait in the pool for somebody who writes."""
    is_open = connection and not connection.closed
    if is_open and connection.get_parameter_status("default_transaction_read_only") == "on":
        record.invalidate()


def answers(engine: Engine) -> bool:
    """Whether the database answers now. Raises nothing of its own: the caller decides what an error means."""
    with engine.connect() as connection:
        return bool(connection.scalar(text("select 1")))


def takes_writes(engine: Engine) -> bool:
    """Whether the database takes a write to the disk now. Raises SQLAlchemyError where it does not."""
    with engine.begin() as connection:
        connection.execute(text("set local synchronous_commit = on"))
        connection.execute(_WRITE)
    return True


_WRITE = text("insert into write_probe (id) values (1) on conflict (id) do update set at = now()")


def try_lock(connection: Connection, key: int) -> bool:
    """Takes the advisory lock of that number for as long as the connection lives; False where another one has it."""
    return bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": key}))


def first_line(error: SQLAlchemyError) -> str:
    """What went wrong, without the statement and its values, which SQLAlchemy appends."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
