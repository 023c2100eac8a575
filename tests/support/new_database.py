"""A database of a test's own, on a server that many share."""

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache

import psycopg2
from sqlalchemy import make_url

EMPTY = "template0"
MIGRATED = f"template_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
"""The one that the fixture `postgres` makes. Tests that run at the same time may share a server."""

_numbers = itertools.count(1)


@contextmanager
def new_database(server: str, template: str = EMPTY, name: str | None = None) -> Iterator[str]:
    """The URL of a new one, which is dropped in the end. server: the URL of another one there. name: in place of one of
    that name, if there is one; without it another each time."""
    if name:
        _run(server, f"drop database if exists {name} with (force)")
    name = name or f"test_{os.getpid()}_{next(_numbers)}"
    copied = " strategy file_copy" if _version(server) >= _STRATEGIES else ""
    _run(server, f"create database {name} template {template}{copied}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _run(server, f"drop database {name} with (force)")


_STRATEGIES = 150_000
"""The version of PostgreSQL from which on one says how a database is copied. Before, files were."""


@cache
def _version(server: str) -> int:
    with closing(psycopg2.connect(server)) as connection:
        return int(connection.server_version)


def _run(server: str, statement: str) -> None:
    """In no transaction."""
    with closing(psycopg2.connect(server)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
