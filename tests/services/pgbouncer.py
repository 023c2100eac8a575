"""PgBouncer of Debian's package, in transaction mode, before a PostgreSQL server."""

import os
import pwd
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from sandbox.processes import free_port
from tests.services.postgres_servers import PostgresServer
from tests.services.server_process import ServerProcess, User, program

_SETTINGS = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 1000
{more}
"""

START_SECONDS = 20.0


@contextmanager
def pgbouncer(server: PostgresServer, *more: str, sessions: int = 20) -> Iterator[str]:
    """Its HOST:PORT. more: lines of its settings. sessions: of the server, that all clients of a database share."""
    binary = program("pgbouncer", "pgbouncer")
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to be root
    host, port = server.address.split(":")
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        directory, listen = Path(name), free_port()
        (directory / "users").write_text('"postgres" ""\n', encoding="ascii")
        settings = _SETTINGS.format(
            host=host, port=port, listen=listen, directory=name, sessions=sessions, more="\n".join(more)
        )
        (directory / "pgbouncer.ini").write_text(settings, encoding="ascii")
        for path in (directory, *directory.iterdir()):
            if user:
                os.chown(path, user.pw_uid, user.pw_gid)
        command = [str(binary), str(directory / "pgbouncer.ini")]
        process = ServerProcess(command, directory / "log", user=User(user.pw_uid, user.pw_gid) if user else None)
        try:
            _wait(process, f"postgresql://postgres@127.0.0.1:{listen}/postgres")
            yield f"127.0.0.1:{listen}"
        finally:
            process.kill()


def _wait(process: ServerProcess, url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with closing(psycopg2.connect(url, connect_timeout=5)):
                return
        except psycopg2.OperationalError as error:
            if process.has_ended or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start: {error}\n{process.said()}") from error
            time.sleep(0.05)
