"""Databases with the schema of an older version, to be upgraded."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from shared import migrate
from shared.database.engine import make_engine
from tests.support.new_database import new_database

BEFORE_PARTS = "0007"


@contextmanager
def before_parts(server: str) -> Iterator[Engine]:
    """A new database as the version before parts left it, with nothing in it. server: the URL of another one there."""
    with new_database(server) as url:
        engine = make_engine(url, "old")
        try:
            _migrate(engine, BEFORE_PARTS)
            yield engine
        finally:
            engine.dispose()


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
