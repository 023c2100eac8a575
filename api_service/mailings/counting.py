"""What is counted of clients while somebody waits: in time, or not at all."""

from collections.abc import Callable
from typing import TypeVar

from psycopg2.errorcodes import QUERY_CANCELED
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api_service.web.problems import Invalid
from api_service.web.work import Work, is_of_tests
from shared.audience import named
from shared.audience.counting import count_clients
from shared.domain.filter import Filter
from shared.domain.segments import Audience

SECONDS = 6.0
"""For so long the clients are counted at the most."""

MEANWHILE = 1.0
"""And for so long while somebody writes whom it is for: the next letter asks anew."""

Found = TypeVar("Found")


def count(work: Work, wanted: Filter, seconds: float = SECONDS) -> int | None:
    """How many clients match a filter now, with its segments as they are. None: not in time. Raises Invalid."""
    with work.look() as session:
        audience = _audience(session, wanted)
        return in_time(session.connection(), seconds, lambda: count_clients(session.connection(), audience))


def _audience(session: Session, wanted: Filter) -> Audience:
    try:
        segments = named.look_up(session.connection(), wanted, is_test=is_of_tests(session), is_held=False)
    except named.Unknown as error:
        raise Invalid({"filter": error.faults}) from error
    return Audience.of(wanted, segments)


def in_time(connection: Connection, seconds: float, ask: Callable[[], Found]) -> Found | None:
    """What is asked, if it takes no longer; the transaction goes on in any case."""
    connection.execute(_PREPARE, {"milliseconds": f"{seconds * 1000:.0f}"})
    before = connection.begin_nested()
    try:
        found = ask()
    except DBAPIError as error:
        before.rollback()
        if getattr(error.orig, "pgcode", None) != QUERY_CANCELED:
            raise
        return None
    before.commit()
    return found


# With the usual 4 MB the database forgets which of a page's rows an index has named, and sorts groups on the disk.
_PREPARE = text("""
    select set_config('statement_timeout', :milliseconds, true), set_config('work_mem', '64MB', true)
""")
