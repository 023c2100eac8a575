"""Brings the schema up to date: `python -m shared.migrate`. Safe to run twice, and at the same time."""

import sys

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from shared import settings
from shared.database.engine import ensure_database, make_engine
from shared.domain.errors import SettingsError

_LOCK = 0x6D696772  # "migr": whoever comes second waits for the first and finds nothing to do


def upgrade(url: str) -> None:
    """Applies the migrations that the database of this URL does not have yet."""
    config = Config()
    config.set_main_option("script_location", "shared.database:migrations")
    engine = make_engine(url, "migrate", pool_size=1, statement_timeout=0)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def main() -> None:
    try:
        upgrade(ensure_database(settings.load()))
    except SettingsError as error:
        sys.exit(str(error))
    print("The schema is up to date.")


if __name__ == "__main__":
    main()
