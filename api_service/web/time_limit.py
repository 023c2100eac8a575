"""What is looked up for somebody who waits: in time, or not at all."""

from collections.abc import Callable
from typing import TypeVar

from psycopg2.errorcodes import QUERY_CANCELED
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

Found = TypeVar("Found")


def in_time(connection: Connection, seconds: float, ask: Callable[[], Found]) -> Found | None:
    """What is asked, if it takes no longer; the transaction goes on in any case, and as it was. Nothing is written."""
    before = connection.begin_nested()
    try:
        connection.execute(_PREPARE, {"milliseconds": f"{seconds * 1000:.0f}"})
        found = ask()
        connection.execute(_LIFT)
    except DBAPIError as error:
        before.rollback()
        if getattr(error.orig, "pgcode", None) != QUERY_CANCELED:
            raise
        return None
    before.rollback()  # and with it the settings
    return found


# With the usual 4 MB the database forgets which of a page's rows an index has named, and sorts groups on the disk. With
# the usual cost of starting its workers it leaves a tenth of a million clients to one process, a third slower.
_PREPARE = text("""
    select set_config('statement_timeout', :milliseconds, true), set_config('work_mem', '64MB', true),
           set_config('parallel_setup_cost', '100', true)
""")

_LIFT = text("select set_config('statement_timeout', '0', true)")
"""A time-out that comes as a statement ends is the end of the next one: of this, and of nothing that stands behind."""
