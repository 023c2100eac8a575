"""The report of one day: what it says, not how it looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from shared.domain.day_bounds import bounds
from shared.domain.message import MessageState
from shared.ledger.breakdown import Breakdown, read_finished
from shared.ledger.day import UNTRIED, Failed, Quarter, read_failed, read_quarters, read_repeats
from shared.ledger.figures import Day, MailingDay, read_day, read_day_mailings

LARGEST = 50
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Report:
    """`start` and `end`: the day's bounds, aware, in its zone. `largest`: the day's mailings with the most messages.

    repeats: calls that were repeated because an answer was lost. hours: messages accepted, and ended otherwise, in each
    hour of the day. breakdown: of the mailings that were finished on that day.
    """

    day: date
    start: datetime
    end: datetime
    figures: Day
    largest: Sequence[MailingDay]
    repeats: int = 0
    failed: Failed = field(default_factory=Failed)
    hours: Sequence[tuple[int, int]] = ()
    breakdown: Breakdown = field(default_factory=lambda: Breakdown({}))

    @property
    def finished(self) -> int:
        """Messages that reached a final state on that day."""
        return sum(self.figures.states.values())

    @property
    def sent(self) -> int:
        return self.figures.states.get(MessageState.SENT, 0)

    @property
    def accepted_permille(self) -> int | None:
        """Accepted by the provider out of all that were to be sent, rounded down, so that only a day without a loss
        shows 1000. None: nothing was to be sent; what was cancelled was not."""
        tried = sum(number for state, number in self.figures.states.items() if state not in UNTRIED)
        return self.sent * 1000 // tried if tried else None

    @property
    def others(self) -> int:
        """How many of the day's mailings are not among the largest."""
        return self.figures.mailings - len(self.largest)


def read(connection: Connection, day: date, zone: ZoneInfo, *, checks_ledger: bool = True) -> Report:
    """checks_ledger: that of every mailing which is not finished, so it takes the longer the more there are."""
    start, end = bounds(day, zone)
    return Report(
        day=day,
        start=start.astimezone(zone),
        end=end.astimezone(zone),
        figures=read_day(connection, start, end, checks_ledger=checks_ledger),
        largest=read_day_mailings(connection, start, end, LARGEST),
        repeats=read_repeats(connection, start, end),
        failed=read_failed(connection, start, end, LARGEST),
        hours=_hours(read_quarters(connection, start, end), start, end),
        breakdown=read_finished(connection, start, end),
    )


def _hours(quarters: Iterable[Quarter], start: datetime, end: datetime) -> list[tuple[int, int]]:
    """As many as the day has: where clocks are changed, one more or one less than usual."""
    hours = [(0, 0)] * -((start - end) // _HOUR)
    for quarter in quarters:
        place = (quarter.at - start) // _HOUR
        accepted, others = hours[place]
        hours[place] = (accepted + quarter.accepted, others + quarter.others)
    return hours
