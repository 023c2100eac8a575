"""What became of messages on a day, and on one day after another: as the daily report has it.

Nothing here is of tests, so whoever sees nothing else sees none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from api_service.web.problems import NotFound
from api_service.web.work import Work, moment
from shared.database.models import Tally
from shared.domain.day_bounds import bounds
from shared.ledger import report
from shared.ledger.day import read_quarters
from shared.ledger.report import Report

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Messages that got their last state on that day."""

    day: date
    accepted: int
    others: int


@dataclass(frozen=True, slots=True)
class Days:
    """The latest first. today: which day it is now. has_earlier: whether there is something before them."""

    today: date
    days: Sequence[DayFigures]
    has_earlier: bool


def list_part(work: Work, zone: ZoneInfo, before: date | None, size: int) -> Days:
    """So many days, those on which nothing happened among them. before: the one after them; None: today is the last."""
    with work.look() as session:
        today = _today(session, zone)
        last = today if before is None else min(before - _DAY, today)
        days = [last - number * _DAY for number in range(size)]
        if work.is_test:
            return Days(today, [DayFigures(day, 0, 0) for day in days], has_earlier=False)
        start, end = bounds(days[-1], zone)[0], bounds(last, zone)[1]
        found = dict.fromkeys(days, (0, 0))
        for quarter in read_quarters(session.connection(), start, end):
            day = quarter.at.astimezone(zone).date()
            accepted, others = found[day]
            found[day] = accepted + quarter.accepted, others + quarter.others
        earlier = session.scalar(select(Tally.quarter).where(Tally.quarter < start).limit(1))
        return Days(today, [DayFigures(day, *figures) for day, figures in found.items()], earlier is not None)


def find(work: Work, zone: ZoneInfo, day: date) -> Report:
    """The ledger is not looked at: that is no matter of a day. Raises NotFound for one that has not begun."""
    with work.look() as session:
        if work.is_test or day > _today(session, zone) or len(set(bounds(day, zone))) < 2:
            raise NotFound("There are no figures of this day.")
        return report.read(session.connection(), day, zone, checks_ledger=False)


def _today(session: Session, zone: ZoneInfo) -> date:
    return moment(session.connection()).astimezone(zone).date()
