"""Tables are changed beside the traffic."""

import time

from alembic import op
from psycopg2 import errorcodes
from sqlalchemy.exc import OperationalError


def alter(table: str, actions: str) -> None:
    """`patiently`, of a table."""
    patiently(f"alter table {table} {actions}")


def patiently(statement: str) -> None:
    """For what takes a moment once nobody is at the table, outside a transaction, and may be repeated. The table is
    asked for again and again, each time for a moment: else everybody would stand in line behind one who waits for a
    transaction that lasts, such as a backup."""
    op.execute("set lock_timeout = '200ms'")
    while not _is_done(statement):
        time.sleep(0.5)
    op.execute("reset lock_timeout")


def _is_done(statement: str) -> bool:
    try:
        op.execute(statement)
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != errorcodes.LOCK_NOT_AVAILABLE:
            raise
        return False
    return True
