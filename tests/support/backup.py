"""Backups of a database as people make them, with pg_dump and pg_restore of the embedded PostgreSQL."""

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from sqlalchemy import make_url

from shared.database.embedded_programs import Programs


def dump(url: str, file: Path) -> None:
    """Whatever goes on there meanwhile."""
    _run("pg_dump", "--format=custom", f"--file={file}", url)


def dump_as_text(url: str, file: Path) -> None:
    """As one can read it: bytes as such where they are text."""
    _run("pg_dump", "--format=plain", f"--file={file}", url)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor, file.open("ab") as opened:
        cursor.execute("select body from kept_answers where body is not null union all select body from broker_jobs")
        opened.writelines(bytes(body) for (body,) in cursor)


def restore(url: str, file: Path) -> None:
    """The database is what it was when the backup was made; whoever was connected is not any more."""
    name = make_url(url).database
    _on_server(url, f"drop database if exists {name} with (force)", f"create database {name} template template0")
    _run("pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={url}", str(file))


@contextmanager
def restored_beside(url: str, file: Path) -> Iterator[str]:
    """The URL of another database of the same server, with what was in this one when the backup was made."""
    name = f"restored_{make_url(url).database}"
    beside = make_url(url).set(database=name).render_as_string(hide_password=False)
    try:
        restore(beside, file)
        yield beside
    finally:
        _on_server(url, f"drop database if exists {name} with (force)")


def _on_server(url: str, *statements: str) -> None:
    server = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    with closing(psycopg2.connect(server)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def _run(program: str, *arguments: str) -> None:
    command = [str(Programs.find().directory / program), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
