"""What is done from the command line, as a request would do it."""

import sys
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from api_service.web.problems import Problem
from api_service.web.work import Work
from shared import migrate
from shared.audit import Actor
from shared.database.access import ensure_database
from shared.database.engine import first_line
from shared.settings import Settings

Done = TypeVar("Done")


def carried_out(settings: Settings, name: str, do: Callable[[Work], Done]) -> Done | None:
    """What it gave; None where the database or the user was wrong, as people have been told.

    Args:
        name: of the command, for those who look at the connections of the database.

    Raises SettingsError.
    """
    database = ensure_database(settings, needs_session=False)
    if settings.database_url is None:
        migrate.upgrade(database.direct_url)
    engine = database.engine(name, pool_size=1)
    try:
        return do(Work(engine, Actor("command")))
    except Problem as error:
        print(error.message, file=sys.stderr)
    except SQLAlchemyError as error:
        print(f"The database did not do it: {first_line(error)}", file=sys.stderr)
    finally:
        engine.dispose()
    return None
