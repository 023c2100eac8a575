"""Connections to PostgreSQL."""

import select
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from shared.clock import ticks
from shared.database import watchdog
from shared.database.question import ask
from shared.database.roles import Role, find, take
from shared.database.session_settings import LINE_SETTINGS, as_options, as_statement, session_settings
from shared.domain.hosts import nodes

STATEMENT_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5
ONE_OF_SEVERAL = 2
"""Seconds for each of several hosts: while one is away, every new connection may have to pass by it."""

MARGIN = 2.0
"""Seconds that an answer may take beyond the time-out of the statement, before the connection is given up."""

RESTED = 1.0
"""Seconds in the pool after which a connection is asked whether it is there before it is used."""

_FOREVER = 1e9


def make_engine(
    url: str,
    name: str,
    *,
    role: Role = Role.SERVICE,
    pool_size: int = 5,
    statement_timeout: float = STATEMENT_TIMEOUT,
    is_pooled: bool = False,
) -> Engine:
    """An engine whose connections carry `name` in pg_stat_activity.

    Args:
        url: of one host or of several; of these the one that takes writes.
        role: what the connections may do, where the database has roles.
        statement_timeout: seconds, after which the server gives a statement up; MARGIN later we give the server up,
            whatever keeps it from answering. 0: never. That the other side is gone, both sides notice within half a
            minute.
        is_pooled: the URL leads to a pooler, which hands out a session for a transaction. Otherwise it has to lead to
            PostgreSQL itself: connections to anything else fail, and say so.
    """
    patience = statement_timeout + MARGIN if statement_timeout else _FOREVER
    settings = session_settings(statement_timeout)
    address = _address(url)
    made = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,  # errors are logged, and phone numbers must not be
        execution_options={_POOLED: is_pooled},
        connect_args={
            "application_name": name,
            "connect_timeout": ONE_OF_SEVERAL if _names_several(address) else CONNECT_TIMEOUT,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "connection_factory": watchdog.connections(patience),
            **({} if is_pooled else {"options": as_options(settings | LINE_SETTINGS)}),
        },
    )
    if is_pooled:
        _set_in_each_transaction(made, settings, role)
    else:
        event.listen(made, "connect", lambda connection, _: _begin(connection, role))
    event.listen(made, "checkout", _replace_dead)
    event.listen(made, "handle_error", _give_up_read_only)
    event.listen(made, "checkin", _note_the_time)
    event.listen(made, "checkin", _keep_no_read_only)
    return made


def _set_in_each_transaction(engine: Engine, settings: dict[str, str], role: Role) -> None:
    """The settings, and the role, which is looked for once in a connection."""

    def prepare(connection: Any, record: ConnectionPoolEntry) -> None:
        name = find(connection, role)
        record.info[_SETTINGS] = as_statement(settings | ({"role": name} if name else {}))

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(connection.info[_SETTINGS]))


_SETTINGS = "settings of a transaction"


def another_engine(engine: Engine, name: str, *, pool_size: int, statement_timeout: float) -> Engine:
    """One to the same database, in the same way."""
    return make_engine(
        engine.url.render_as_string(hide_password=False),
        name,
        pool_size=pool_size,
        statement_timeout=statement_timeout,
        is_pooled=is_pooled(engine),
    )


def is_pooled(engine: Engine) -> bool:
    """Whether it leads to a pooler, which hands out a session for a transaction."""
    return bool(engine.get_execution_options()[_POOLED])


_POOLED = "behind a pooler"


def _address(url: str) -> URL:
    """SQLAlchemy has a form of its own for several hosts, and does not read libpq's."""
    found = [make_url(one).set(drivername="postgresql+psycopg2") for one in nodes(url)]
    if len(found) == 1:
        return found[0]
    hosts, ports = [str(one.host or "") for one in found], [str(one.port or "") for one in found]
    wanted = {"host": ",".join(hosts), "port": ",".join(ports), "target_session_attrs": "read-write"}
    return found[0]._replace(host=None, port=None).update_query_dict({**wanted, **found[0].query})


def _names_several(address: URL) -> bool:
    host = address.query.get("host", "")
    return isinstance(host, tuple) or "," in host


def leads_to_pooler(url: str) -> bool:
    """Whether something answers for PostgreSQL there. False as well where nothing answers: the errors of connections
    say more of that."""
    looking = create_engine(_address(url), poolclass=NullPool, connect_args={"connect_timeout": ONE_OF_SEVERAL})
    try:
        with closing(looking.raw_connection()) as connection:
            return _is_pooler(connection.driver_connection)
    except (SQLAlchemyError, psycopg2.Error):
        return False


def _is_pooler(connection: Any) -> bool:
    (pid,) = ask(connection, "select pg_backend_pid()")
    return bool(pid != connection.info.backend_pid)


def _begin(connection: Any, role: Role) -> None:
    """Of a new session: behind a pooler its locks and settings would be anybody's."""
    if not take(connection, role):
        connection.close()
        raise psycopg2.OperationalError("a pooler answers where PostgreSQL itself has to, see DATABASE_DIRECT_URL")


@contextmanager
def one_statement(engine: Engine) -> Iterator[Connection]:
    """A connection for one statement that is a transaction by itself, or for some of which each is: two round trips
    fewer than in one that is begun and committed.

    psycopg2 is told so directly. SQLAlchemy's isolation level AUTOCOMMIT names the usual level when it goes back to it,
    as any other does, and what has been named psycopg2 has to tell the server: a round trip of its own.

    Behind a pooler it is in a transaction as any other, which has its settings.
    """
    if is_pooled(engine):
        with engine.begin() as connection:
            yield connection
        return
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
            ask(connection, "select 1")
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


def first_line(error: Exception) -> str:
    """What went wrong, without the statement and its values, which SQLAlchemy appends."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
