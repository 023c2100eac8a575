"""How many clients match a filter, for somebody who waits: all of them counted, about, or not at all."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from api_service.web.problems import Invalid
from api_service.web.time_limit import in_time
from api_service.web.work import Work, is_of_tests
from shared.audience import named
from shared.audience.counting import count_clients, estimate_clients
from shared.domain.filter import Filter
from shared.domain.segments import Audience

SECONDS = 6.0
"""For so long the clients are counted at the most."""

AT_ONCE = 0.05
"""And for so long while somebody writes whom it is for: then they get an estimate, if there is one."""

MEANWHILE = 1.0
"""For so long they are estimated, or counted where that says nothing: the next letter asks anew."""


class People(NamedTuple):
    """So many clients match now. number: None: that takes too long to count. is_exact: else to two digits."""

    number: int | None
    is_exact: bool = True


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
