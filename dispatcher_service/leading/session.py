"""Connections that the leader keeps for itself, and how long anything may take on them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DisconnectionError

LOCK_PATIENCE = 0.1
"""Seconds that a statement waits for a row that somebody else has locked."""

STATEMENT_PATIENCE = 5.0
"""Seconds that a statement may take. What is done in slices takes a tenth of a second, or a few on a busy machine."""


@contextmanager
def own_connection(engine: Engine, *, silence: float = 0.0, proves: bool = False) -> Iterator[Connection]:
    """A connection for one thread of the leader.

    It is closed at the end and not given back to the pool, where it would keep the lock and the settings. No commit on
    it waits for the disk. If the database crashes, the last ones may be taken back, and are made again. Nothing can
    have been sent of them: a claim is committed, to the disk, after what it claims.

    silence: seconds after which the server ends a session that says nothing; 0: never. proves: where a pooler stands
    between, every transaction first sees that it is in the session of the first one, and so still has what that holds;
    or raises DisconnectionError.
    """
    with engine.connect() as connection:
        try:
            with connection.begin():
                session = connection.scalar(
                    _SETTINGS,
                    {
                        "silence": _milliseconds(silence),
                        "lock": _milliseconds(LOCK_PATIENCE),
                        "statement": _milliseconds(STATEMENT_PATIENCE),
                    },
                )
            if proves and _is_lent(connection, session):
                event.listen(connection, "begin", lambda connection: _prove(connection, session))
            yield connection
        finally:
            connection.invalidate()


def _is_lent(connection: Connection, session: int | None) -> bool:
    """The server says at the start which of its processes a connection has. A pooler has to make that up."""
    told: int = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    return told != session


def _prove(connection: Connection, session: int | None) -> None:
    """A lock that was taken in another session is no lock of ours."""
    if connection.scalar(_SESSION) != session:
        raise DisconnectionError("The session is another one now: a pooler stands between, see DATABASE_DIRECT_URL.")


_SESSION = text("select pg_backend_pid()")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


_SETTINGS = text("""
    select pg_backend_pid(),
           set_config('synchronous_commit', 'off', false), set_config('idle_session_timeout', :silence, false),
           set_config('lock_timeout', :lock, false), set_config('statement_timeout', :statement, false),
           set_config('jit', 'off', false)
""")
