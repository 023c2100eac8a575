"""What is counted of clients while somebody waits: in time, or not at all."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from psycopg2.errorcodes import QUERY_CANCELED
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api_service.web.problems import Invalid
from api_service.web.work import Work, is_of_tests
from shared.audience import named
from shared.audience.counting import count_clients, estimate_clients
from shared.domain.filter import Filter
from shared.domain.segments import Audience

SECONDS = 6.0
"""For so long the clients are counted at the most."""

MEANWHILE = 1.0
"""And for so long while somebody writes whom it is for: the next letter asks anew."""

AT_ONCE = 0.05
"""After so long they get an estimate, if there is one."""


class People(NamedTuple):
    """So many clients match now. number: None: that takes too long to count. is_exact: else to two digits."""

    number: int | None
    is_exact: bool = True


Found = TypeVar("Found")


def count(work: Work, wanted: Filter) -> People:
    """How many clients match a filter now, with its segments as they are. Raises Invalid."""
    with work.look() as session:
        return People(_count(session, _audience(session, wanted), SECONDS))


def count_meanwhile(work: Work, wanted: Filter) -> People:
    """As `count`, while somebody writes. Raises Invalid."""
    with work.look() as session:
        audience, connection = _audience(session, wanted), session.connection()
        counted = _count(session, audience, AT_ONCE)
        if counted is not None:
            return People(counted)
        about = in_time(connection, MEANWHILE, lambda: estimate_clients(connection, audience))
        if about is not None:
            return People(round(about, 2 - len(str(about))), is_exact=False)
        return People(_count(session, audience, MEANWHILE))


def _count(session: Session, audience: Audience, seconds: float) -> int | None:
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
        connection.execute(_NEXT)
    except DBAPIError as error:
        before.rollback()
        if getattr(error.orig, "pgcode", None) != QUERY_CANCELED:
            raise
        return None
    before.commit()
    return found


# With the usual 4 MB the database forgets which of a page's rows an index has named, and sorts groups on the disk. With
# the usual cost of starting its workers it leaves a tenth of a million clients to one process, a third slower.
_PREPARE = text("""
    select set_config('statement_timeout', :milliseconds, true), set_config('work_mem', '64MB', true),
           set_config('parallel_setup_cost', '100', true)
""")

_NEXT = text("select")
"""A time-out that comes as a statement ends is the next one's end."""
