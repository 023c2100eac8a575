"""Connections that the leader keeps for itself, and how long anything may take on them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

LOCK_PATIENCE = 0.1
"""Seconds that a statement waits for a row that somebody else has locked."""

STATEMENT_PATIENCE = 5.0
"""Seconds that a statement may take. What is done in slices takes a tenth of a second, or a few on a busy machine."""


@contextmanager
def own_connection(engine: Engine, *, silence: float = 0.0) -> Iterator[Connection]:
    """A connection for one thread of the leader.

    It is closed at the end and not given back to the pool, where it would keep the lock and the settings. No commit on
    it waits for the disk. If the database crashes, the last ones may be taken back, and are made again. Nothing can
    have been sent of them: a claim is committed, to the disk, after what it claims.

    silence: seconds after which the server ends a session that says nothing; 0: never.
    """
    with engine.connect() as connection:
        try:
            with connection.begin():
                connection.execute(
                    _SETTINGS,
                    {
                        "silence": _milliseconds(silence),
                        "lock": _milliseconds(LOCK_PATIENCE),
                        "statement": _milliseconds(STATEMENT_PATIENCE),
                    },
                )
            yield connection
        finally:
            connection.invalidate()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


_SETTINGS = text("""
    select set_config('synchronous_commit', 'off', false), set_config('idle_session_timeout', :silence, false),
           set_config('lock_timeout', :lock, false), set_config('statement_timeout', :statement, false),
           set_config('jit', 'off', false)
""")
