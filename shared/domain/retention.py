"""What of the messages goes, and when. Pure: the clock is the caller's.

    the part                                        what goes
    everything is kept (0 days)                     nothing
    messages are still created in it                mailings that finished twice as long ago
    a mailing of it runs, or finished lately        mailings that finished twice as long ago
    closed, and all its mailings finished long ago  the part as a whole

A whole part goes at no cost; rows that are deleted one by one leave work for the vacuum. So those wait for the part,
and go by themselves only where something younger holds it for as long again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PART_MESSAGES = 10_000_000
PART_LASTS = timedelta(days=1)
"""What a part takes: whichever comes first closes it, and launches go on in the next one."""

IMPORTS_DAYS = 90
REFUSED_LINES_DAYS = 7
"""How long imports are kept after their end, and lines as they stood in the file: there is somebody's phone in them."""

FORMER_PHONES_DAYS = 90
"""No message is called for longer under the phone that its client had."""


class Goes(StrEnum):
    NOTHING = "nothing"
    LEFTOVERS = "leftovers"  # rows of mailings that finished long ago, from a part that stays
    PART = "part"


@dataclass(frozen=True, slots=True)
class Part:
    """A part with what is of interest here, as of one moment.

    closed_at: None while mailings are launched into it. is_running: a mailing of it is not finished, or one that has
    not started leaves out who got it.
    first_finished_at, last_finished_at: when the first and the last of those that are finished were; None: none is. All
    without mailings whose messages are given up already.
    """

    number: int
    closed_at: datetime | None
    is_running: bool = False
    first_finished_at: datetime | None = None
    last_finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """days: after a mailing has finished its messages are kept for so long; 0: for ever."""

    days: int

    @property
    def kept(self) -> timedelta:
        return timedelta(days=self.days)

    @property
    def kept_one_by_one(self) -> timedelta:
        """Where the part is held by something younger."""
        return 2 * self.kept

    def goes(self, part: Part, now: datetime) -> Goes:
        if not self.days:
            return Goes.NOTHING
        # Closed for as long as well: whoever chose this part for a launch right before it was closed is through by now.
        ends = [part.closed_at, part.last_finished_at or part.closed_at]
        if not part.is_running and all(_is_past(end, now - self.kept) for end in ends):
            return Goes.PART
        return Goes.LEFTOVERS if _is_past(part.first_finished_at, now - self.kept_one_by_one) else Goes.NOTHING


KEEP_EVERYTHING = Retention(0)


def _is_past(moment: datetime | None, limit: datetime) -> bool:
    return moment is not None and moment <= limit


def is_full(messages: int, lasted: timedelta) -> bool:
    """Whether a part is to be closed. messages: as many as were created since its first one. lasted: since the
    first mailing was launched into it."""
    return messages >= PART_MESSAGES or (bool(messages) and lasted >= PART_LASTS)
