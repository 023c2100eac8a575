"""Databases with the schema of an older version, to be upgraded."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, make_url

from shared import migrate
from shared.database.engine import make_engine

BEFORE_PARTS = "0007"


@contextmanager
def before_parts(server: str, name: str) -> Iterator[Engine]:
    """A new database as the version before parts left it, with nothing in it. server: the URL of another one there."""
    engine = make_engine(make_url(server).set(database=name).render_as_string(hide_password=False), "old")
    with closing(psycopg2.connect(server)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"create database {name}")
        try:
            _migrate(engine, BEFORE_PARTS)
            yield engine
        finally:
            engine.dispose()
            cursor.execute(f"drop database {name} with (force)")


def _migrate(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "shared.database:migrations")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def upgrade(engine: Engine) -> None:
    """To the newest schema, as an operator does it."""
    migrate.upgrade(engine.url.render_as_string(hide_password=False))
    engine.dispose()  # its connections take their roles anew
