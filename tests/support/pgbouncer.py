"""PgBouncer of Debian's package, in transaction mode, before a PostgreSQL server."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.processes import free_port
from tests.support.postgres_servers import PostgresServer, takes_connections
from tests.support.server_process import ServerProcess, User, program

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
            url = f"postgresql://postgres@127.0.0.1:{listen}/postgres"
            process.wait_until(lambda: takes_connections(url), START_SECONDS)
            yield f"127.0.0.1:{listen}"
        finally:
            process.kill()
