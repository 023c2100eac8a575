"""PostgreSQL servers on 127.0.0.1, of the embedded programs: one, or a primary and a standby that may take over."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from sandbox import debian
from sandbox.processes import free_port
from shared.database.embedded_programs import MAJOR, Programs
from tests.support.server_process import ServerProcess, User

START_SECONDS = 60.0

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
}


class PostgresServer:
    """One server. `address`: HOST:PORT. What it stored survives `kill` and `start`."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        """directory: a new one, of the programs' user."""
        self._programs = programs
        self._user = User(programs.uid, programs.gid) if programs.is_other else None
        self._directory = directory
        self._port = free_port()
        self._process: ServerProcess | None = None
        self.address = f"127.0.0.1:{self._port}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.address}/{database}"

    def make(self) -> None:
        """Its data directory, empty."""
        self._run(
            "initdb", "-D", str(self._data), "--auth=trust", "--encoding=utf8", "--username=postgres", "--no-sync"
        )

    def copy(self, primary: "PostgresServer") -> None:
        """Its data directory, as a standby of another one that runs."""
        source = f"host=127.0.0.1 port={primary._port} user=postgres application_name=standby"
        self._run("pg_basebackup", "-D", str(self._data), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def forget_primary(self) -> None:
        """A copy that was not started yet is no standby any more, but what was restored from a base backup."""
        (self._data / "standby.signal").unlink()

    def start(self, **options: str) -> None:
        """Returns when it answers. options: of its configuration."""
        given = [f"-c{name}={value}" for name, value in {**_OPTIONS, **options}.items()]
        command = [str(self._programs.directory / "postgres"), "-D", str(self._data), "-p", str(self._port), *given]
        self._process = ServerProcess(command, self._directory / "log", user=self._user)
        self._process.wait_until(lambda: takes_connections(self.url()), START_SECONDS)

    def kill(self) -> None:
        """All of its processes at once, as when the machine is lost. Twice is harmless."""
        if self._process is None:
            return
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.kill()
        self._process = None
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def promote(self) -> None:
        """Returns when it takes writes."""
        assert self.ask("select pg_promote(true, 30)") == [(True,)]

    def ask(self, statement: str, database: str = "postgres") -> list[Any]:
        with closing(psycopg2.connect(self.url(database), connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def cpu_seconds(self) -> float:
        """Of all its processes since its start."""
        first, *others = self._processes()
        used = sum(first.cpu_times()[:4])  # with those of its children that have ended
        for process in others:
            with suppress(psutil.NoSuchProcess):
                used += sum(process.cpu_times()[:2])
        return used

    def _processes(self) -> list[psutil.Process]:
        """The first one, then those that it has started."""
        first = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        return [first, *first.children()]

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs.directory / name), *arguments],
            check=True,
            capture_output=True,
            timeout=120,
            cwd="/",
            umask=0o077,
            user=self._user.uid if self._user else None,
            group=self._user.gid if self._user else None,
            extra_groups=[] if self._user else None,
        )


def programs_of(major: int) -> Programs:
    """Those of that version: the embedded ones, or Debian's, whose package is installed where it is missing.

    Raises NotInstalled.
    """
    embedded = Programs.find()
    if major == MAJOR:
        return embedded
    directory = Path(f"/usr/lib/postgresql/{major}/bin")
    if not (directory / "postgres").exists():
        debian.install(f"postgresql-{major}")
    return replace(embedded, directory=directory)


def takes_connections(url: str) -> bool:
    try:
        with closing(psycopg2.connect(url, connect_timeout=5)):
            return True
    except psycopg2.OperationalError:
        return False


@contextmanager
def one_server(programs: Programs | None = None, **options: str) -> Iterator[PostgresServer]:
    """A server that runs, for as long as the block lasts. options: of its configuration."""
    with _servers(1, programs or Programs.find()) as (server,):
        server.make()
        server.start(**options)
        yield server


@contextmanager
def primary_and_standby(*, is_synchronous: bool) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Both run; is_synchronous: no commit returns before the standby has it on its disk."""
    with _servers(2, Programs.find()) as (primary, standby):
        primary.make()
        primary.start()
        standby.copy(primary)
        standby.start()
        _wait_for(lambda: primary.ask("select 1 from pg_stat_replication where state = 'streaming'"))
        if is_synchronous:
            primary.ask("alter system set synchronous_standby_names = 'standby'")
            primary.ask("select pg_reload_conf()")
            _wait_for(lambda: primary.ask("select 1 from pg_stat_replication where sync_state = 'sync'"))
        yield primary, standby


@contextmanager
def two_servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """One that runs, and one whose data directory is to be made."""
    with _servers(2, Programs.find()) as (first, second):
        first.make()
        first.start()
        yield first, second


@contextmanager
def _servers(count: int, programs: Programs) -> Iterator[list[PostgresServer]]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        os.chown(name, programs.uid, programs.gid)
        made = []
        for number in range(count):
            directory = Path(name, str(number))
            directory.mkdir()
            os.chown(directory, programs.uid, programs.gid)
            made.append(PostgresServer(programs, directory))
        try:
            yield made
        finally:
            for server in made:
                server.kill()


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
