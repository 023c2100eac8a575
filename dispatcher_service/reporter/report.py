"""The report of one day: what it says, not how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dispatcher_service.reporter.days import bounds
from shared.domain.message import MessageState
from shared.ledger.figures import Day, MailingDay, read_day, read_day_mailings

LARGEST = 50


@dataclass(frozen=True, slots=True)
class Report:
    """`start` and `end`: the day's bounds, aware, in its zone. `largest`: the day's mailings with the most messages."""

    day: date
    start: datetime
    end: datetime
    figures: Day
    largest: Sequence[MailingDay]

    @property
    def finished(self) -> int:
        """Messages that reached a final state on that day."""
        return sum(self.figures.states.values())

    @property
    def sent(self) -> int:
        return self.figures.states.get(MessageState.SENT, 0)

    @property
    def delivered_permille(self) -> int | None:
        """Sent out of all that were finished, rounded down, so that only a day without a loss shows 1000."""
        return self.sent * 1000 // self.finished if self.finished else None

    @property
    def others(self) -> int:
        """How many of the day's mailings are not among the largest."""
        return self.figures.mailings - len(self.largest)


def read(connection: Connection, day: date, zone: ZoneInfo) -> Report:
    start, end = bounds(day, zone)
    return Report(
        day=day,
        start=start.astimezone(zone),
        end=end.astimezone(zone),
        figures=read_day(connection, start, end),
        largest=read_day_mailings(connection, start, end, LARGEST),
    )
