"""A database of a test's own, on a server that many share."""

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from sqlalchemy import make_url

EMPTY = "template0"
MIGRATED = "template"
"""The one that the fixture `postgres` makes."""

_numbers = itertools.count(1)


@contextmanager
def new_database(server: str, template: str = EMPTY) -> Iterator[str]:
    """The URL of a new one, which is dropped in the end. server: the URL of another one there."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    _run(server, f"create database {name} template {template} strategy file_copy")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _run(server, f"drop database {name} with (force)")


def _run(server: str, statement: str) -> None:
    """In no transaction."""
    with closing(psycopg2.connect(server)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
