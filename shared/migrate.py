"""Brings the schema up to date: `python -m shared.migrate`. Safe to run twice, and at the same time.

`--wait` changes nothing and ends when somebody has done it: for what is to start behind it.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg2 import errorcodes
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared import settings
from shared.broker.backoff import backoff
from shared.database import schema
from shared.database.access import ensure_database
from shared.database.engine import first_line, make_engine, try_lock
from shared.database.grants import settle
from shared.database.roles import Role
from shared.domain.errors import SettingsError

_LOCK = 0x6D696772  # "migr": whoever comes second waits for the first and finds nothing to do
_ASK_EVERY = 0.2


def upgrade(url: str) -> str | None:
    """Applies the migrations that the database of this URL does not have yet, and settles who may do what in it.

    Returns why there are no roles, where the user of the URL may not make them. Raises SQLAlchemyError, CommandError.
    """
    config = Config()
    config.set_main_option("script_location", "shared.database:migrations")
    engine = make_engine(url, "migrate", role=Role.OWNER, pool_size=1, statement_timeout=0)
    with engine.connect() as connection:
        _wait_for_others(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        without_roles = settle(connection)
    engine.dispose()
    return without_roles


def _wait_for_others(connection: Connection) -> None:
    """By asking again and again: `create index concurrently` waits for every statement that is under way, so a
    statement that waits for the lock of whoever makes the index would never end."""
    while True:
        with connection.begin():
            if try_lock(connection, _LOCK):
                return
        time.sleep(_ASK_EVERY)


def wait(url: str) -> None:
    """Until the database has the schema that this version needs, however long it is away."""
    engine = make_engine(url, "migrate", pool_size=1)
    why = "it is behind"
    for pause in backoff(first=1.0, longest=10.0):
        try:
            if schema.is_up_to_date(engine):
                break
        except SQLAlchemyError as error:
            why = first_line(error)
        print(f"Waiting for the schema ({why}); again in {pause:.0f} s.", flush=True)
        time.sleep(pause)
    engine.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.migrate", description="The schema of the database.")
    parser.add_argument("--wait", action="store_true", help="until somebody has brought it up to date")
    options = parser.parse_args(arguments)
    try:
        if options.wait:
            wait(ensure_database(settings.load()).direct_url)
            return
        without_roles = upgrade(ensure_database(settings.load()).direct_url)
    except SettingsError as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:
        sys.exit(_sentence(error))
    except CommandError as error:
        sys.exit(f"The schema of this database was made by another version of the service: {error}.")
    print("The schema is up to date.")
    if without_roles:
        print(
            f"There are no roles, since the user of DATABASE_URL may not make them ({without_roles}):"
            " all processes have that user's rights."
        )


_NOT_ALLOWED = (errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.INVALID_SCHEMA_NAME)  # the latter: may not even look


def _sentence(error: SQLAlchemyError) -> str:
    why = f"The schema could not be brought up to date: {first_line(error)}."
    if getattr(getattr(error, "orig", None), "pgcode", None) in _NOT_ALLOWED:
        why += (
            " The role of DATABASE_URL has to own the tables that are there, and may have to be allowed to create"
            " others: `grant create on schema public to …`."
        )
    return why


if __name__ == "__main__":
    main()
