"""Sets ids ahead after a restore, so that none is given twice: `python -m shared.recover`.

Exits 0 when done, 1 when the database did not do it, 2 where a setting makes no sense. Safe to run twice, and while
everything is up.
"""

import sys

from psycopg2 import errorcodes
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from shared import settings
from shared.broker.choice import choose
from shared.broker.memory import recall
from shared.database.access import ensure_database
from shared.database.engine import first_line
from shared.database.roles import Role
from shared.domain.errors import SettingsError
from shared.settings import Settings

MARGIN = 1_000_000_000
"""Ids that are left out at the least, where the clock of the database cannot be right."""

SEQUENCES = {
    "messages": "'message_ids'",  # a provider knows them
    "clients": "pg_get_serial_sequence('clients', 'id')",  # those who use the API know these
    "mailings": "pg_get_serial_sequence('mailings', 'id')",
    "imports": "pg_get_serial_sequence('imports', 'id')",
    "segments": "pg_get_serial_sequence('segments', 'id')",
    "suppressions": "pg_get_serial_sequence('suppressions', 'id')",
    "audit": "pg_get_serial_sequence('audit', 'id')",  # who follows it asks for what is behind the last one they have
    "claims": "'claims'",  # a dispatcher that outlived the restore may hold some
}


def main() -> None:
    try:
        moved = _recover(settings.load())
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except SQLAlchemyError as error:
        sys.exit(_sentence(error))
    for name, (before, after) in moved.items():
        print(f"{name}: {before} → {after}")
    print("From here on ids are new. What was sent after the backup and is open in it is sent again, under its old id.")


def _recover(configuration: Settings) -> dict[str, tuple[int, int]]:
    database = ensure_database(configuration)
    known = recall(choose(configuration.broker_url, database.direct_url, configuration.retry_ladder))
    engine = database.direct_engine("recover", role=Role.OWNER, pool_size=1)
    try:
        with engine.begin() as connection:
            return {name: move(connection, sequence, known) for name, sequence in SEQUENCES.items()}
    finally:
        engine.dispose()


def move(connection: Connection, sequence: str, known: int = 0) -> tuple[int, int]:
    """Where a sequence was, and where it is now: at the microseconds since 1970.

    Every id that was ever given lies below, however old the backup is and however often it was restored: a database
    gives less than a million ids a second. known: an id that was given in any case.
    """
    before, after = connection.execute(text(_MOVE.format(sequence=sequence)), {"known": known, "margin": MARGIN}).one()
    return before, after


_MOVE = """
    select before, setval({sequence}, greatest(
        before + :margin, :known + :margin, cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)
    )) as after
    from (select coalesce(pg_sequence_last_value(cast({sequence} as regclass)), 0) as before) now
"""


def _sentence(error: SQLAlchemyError) -> str:
    why = f"The ids were not set ahead: {first_line(error)}."
    if getattr(getattr(error, "orig", None), "pgcode", None) == errorcodes.INSUFFICIENT_PRIVILEGE:
        why += (
            " It takes the user who migrates: with compose `docker compose run --rm migrate python -m shared.recover`."
        )
    return why


if __name__ == "__main__":
    main()
