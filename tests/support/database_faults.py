"""What can befall a PostgreSQL, and one of the tests' own to which it may.

`url` is that of the database under attack, as a superuser; the others of the same server are spared by all but
`Postgres.crash` and `exhausted`.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg2
from sqlalchemy import make_url

from sandbox import deployment
from sandbox.processes import Processes
from tests.support.waiting import HANGING
from tests.support.wall_clock import WallClock

_ROLE = "service"


class Postgres:
    """A server for the length of a `with` block, which may be crashed and starved.

    clock: what its clock shows, if not the time.
    """

    def __init__(self, clock: WallClock | None = None) -> None:
        self._clock = clock
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._data_dir = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="notify-")))
        self._processes = self._stack.enter_context(self._clock.processes(_say_nothing) if self._clock else Processes())
        server = self._start()
        _run(server, f"create role {_ROLE} login")
        self._server = server
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def create(self, name: str) -> tuple[str, str]:
        """The URLs of a new database: as an ordinary role that owns it, and as a superuser."""
        _run(self._server, f"create database {name} owner {_ROLE}")
        url = make_url(self._server).set(database=name)
        return url.set(username=_ROLE).render_as_string(False), url.render_as_string(False)

    @contextmanager
    def down(self) -> Iterator[None]:
        """It stops at once, as in a crash, and recovers when it is started again."""
        postmaster = int((self._data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(postmaster)
            held = [child for child in process.children() if child.status() == psutil.STATUS_STOPPED]
            os.kill(postmaster, signal.SIGQUIT)
            for child in held:  # they hear nothing else, and the others would be waited for
                child.kill()
            process.wait(30)
        self._processes.stop("postgres")
        try:
            yield
        finally:
            self._start()

    @contextmanager
    def flushing_nothing(self) -> Iterator[None]:
        """What is committed without waiting for the disk stays in memory, unless somebody commits who does wait.

        Whoever would write it by themselves is held: while they sleep, when they have nothing that others wait for.
        """
        held: set[int] = set()
        deadline = time.monotonic() + HANGING
        try:
            while awake := {pid for pid, *asleep in _run(self._server, _WRITERS) if pid not in held or not all(asleep)}:
                assert time.monotonic() < deadline, "they do not sleep"
                for pid in awake:
                    os.kill(pid, signal.SIGCONT if pid in held else signal.SIGSTOP)
                held ^= awake
            yield
        finally:
            for pid in held:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _start(self) -> str:
        return deployment.start_postgres(self._processes, self._data_dir)


_WRITERS = """
    select pid, coalesce(lower(wait_event), '') in ('walwritermain', 'bgwritermain', 'bgwriterhibernate',
                                                    'checkpointermain', 'autovacuummain')
    from pg_stat_activity
    where backend_type in ('walwriter', 'background writer', 'checkpointer', 'autovacuum launcher')
"""


def terminate(url: str, role: str | None = None) -> int:
    """Ends all other connections to the database, or those of a role; how many there were."""
    return len(
        _run(
            url,
            """select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()
                 and application_name <> 'hog' and (%(role)s::text is null or usename = %(role)s)""",
            role=role,
        )
    )


@contextmanager
def terminating(url: str, every: float = 0.2) -> Iterator[None]:
    """Again and again, with the first and the last time for sure."""
    stop = threading.Event()

    def work() -> None:
        terminate(url)
        while not stop.wait(every):
            terminate(url)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        terminate(url)


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Another session has the table for itself, as a careless change of the schema does."""
    with closing(psycopg2.connect(url, application_name="hog")) as connection, connection.cursor() as cursor:
        cursor.execute(f"lock table {table} in access exclusive mode")
        yield


@contextmanager
def exhausted(url: str, service_url: str) -> Iterator[None]:
    """Somebody else has all connections that an ordinary role can have. service_url: of one."""
    role = make_url(service_url).username
    with ExitStack() as hogs:
        deadline = time.monotonic() + HANGING
        while True:
            try:
                hogs.enter_context(closing(psycopg2.connect(service_url, application_name="hog")))
            except psycopg2.OperationalError:
                if not terminate(url, role):
                    break
                assert time.monotonic() < deadline, "the service is faster"
        yield


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """As hosted databases are while their disk is full, or they fail over."""
    name = make_url(url).database
    _run(url, f"alter database {name} set default_transaction_read_only = on")
    terminate(url)
    try:
        yield
    finally:
        _run(url, f"alter database {name} reset default_transaction_read_only")


@contextmanager
def disk_full(url: str) -> Iterator[None]:
    """Every write to a table fails as it does when the file cannot grow.

    By triggers: a file system that is really full needs root and its own mount, and is not to be had everywhere. What
    the service sees is the same, error code and aborted transaction. Where the log of the server cannot grow it stops,
    which is `Postgres.down`.
    """
    tables = ("clients", "mailings", "messages", "mailing_counters", "tallies", "broker_jobs", "write_probe")
    _run(
        url,
        """create or replace function disk_full() returns trigger language plpgsql as $$ begin
               raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
           end $$;"""
        + "".join(
            f"create trigger disk_full before insert or update on {table} for each row execute function disk_full();"
            for table in tables
        ),
    )
    try:
        yield
    finally:
        _run(url, "".join(f"drop trigger disk_full on {table};" for table in tables))


def _say_nothing(_name: str, _line: str) -> None:
    pass


def _run(url: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    options = "-c default_transaction_read_only=off"
    with (
        closing(psycopg2.connect(url, application_name="hog", options=options)) as connection,
        connection.cursor() as cursor,
    ):
        connection.autocommit = True
        cursor.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []
