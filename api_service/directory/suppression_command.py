"""`python -m api_service suppressions rotate`: another key for the digests of suppressed phones."""

import argparse
import sys
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from api_service.directory.rotating import Rotated, rotate
from api_service.directory.suppression_keys import digests_of
from api_service.web.problems import Problem
from api_service.web.work import Work
from shared import migrate
from shared.audit import Actor
from shared.database.access import ensure_database
from shared.database.engine import first_line
from shared.settings import Settings


def run(settings: Settings) -> int:
    """The exit code: 0, or 1 when the database or the keys were wrong. Raises SettingsError."""
    database = ensure_database(settings, needs_session=False)
    if settings.database_url is None:
        migrate.upgrade(database.direct_url)
    engine = database.engine("suppressions", pool_size=1)
    try:
        done = rotate(Work(engine, Actor("command")), digests_of(settings))
    except Problem as error:
        print(error.message, file=sys.stderr)
        return 1
    except SQLAlchemyError as error:
        print(f"The database did not do it: {first_line(error)}", file=sys.stderr)
        return 1
    finally:
        engine.dispose()
    print(_said(done))
    return 0


def _said(done: Rotated) -> str:
    lines = [f"Key {done.version} is in use. Suppressions made anew with it: {done.renewed}."]
    lines += [
        f"Key {version} is still needed by {number}: nobody in the directory has their phones."
        for version, number in done.left.items()
    ]
    return "\n".join(lines if done.left else [*lines, "No older key is needed any more."])


def check_options(arguments: Sequence[str]) -> None:
    """Ends the process where they make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m api_service suppressions", description="The keys of suppressed phones' digests."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("rotate", help="take the highest version of SUPPRESSION_KEYS into use; harmless when repeated")
    parser.parse_args(arguments)
