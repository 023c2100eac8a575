"""`python -m shared.retention --dry-run`: says what the leader would remove now, and changes nothing.

Exits 0; 1 when the database failed; 2 when a setting makes no sense, or when asked for anything else: nothing but the
leader removes, so that it is done once and in order.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared import settings
from shared.database.access import ensure_database
from shared.database.engine import first_line
from shared.domain.errors import SettingsError
from shared.domain.retention import Retention
from shared.retention.kinds import DEAD_JOBS_DAYS
from shared.retention.plan import Going, messages_to_go, rows_to_go

_LONGEST = 120.0
"""Seconds for one statement."""


def main(arguments: Sequence[str] | None = None) -> int:
    _options(arguments)
    try:
        configuration = settings.load()
        engine = ensure_database(configuration).engine("retention", pool_size=1, statement_timeout=_LONGEST)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with engine.connect() as connection, connection.begin():
            for sentence in _plan(connection, Retention(configuration.retention_days)):
                print(sentence)
    except SQLAlchemyError as error:
        print(f"The database did not do it: {first_line(error)}", file=sys.stderr)
        return 1
    finally:
        engine.dispose()
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m shared.retention",
        description="What is removed because it was kept for RETENTION_DAYS, or for the days of its kind. The"
        " dispatcher that leads removes it by itself.",
    )
    parser.add_argument("--dry-run", action="store_true", required=True, help="say what would go, and change nothing")
    return parser.parse_args(arguments)


def _plan(connection: Connection, retention: Retention) -> Iterator[str]:
    if not retention.days:
        yield "RETENTION_DAYS is 0: nothing is ever removed."
        return
    yield f"Messages go {retention.days} days after their mailing has finished, with their part."
    for going in messages_to_go(connection, retention):
        yield _of_part(going, retention)
    for kind, number in rows_to_go(connection):
        yield f"{kind.what.capitalize()} go after {kind.days} days: {number:,}."
    yield f"Dead jobs go after {DEAD_JOBS_DAYS} days; the broker knows which."
    yield "Nothing was changed."


def _of_part(going: Going, retention: Retention) -> str:
    what = f"{going.mailings:,} mailings with {going.messages:,} messages"
    if going.size is not None:
        return f"Part {going.part} goes: {what}, {going.size / 2**20:,.0f} MiB."
    return (
        f"Part {going.part} stays, since younger mailings are in it; of it go {what} that finished"
        f" {2 * retention.days} days ago."
    )


if __name__ == "__main__":
    sys.exit(main())
