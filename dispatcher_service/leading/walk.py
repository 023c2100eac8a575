"""One look at what is due: which mailings the leader has to do with now, and when the next one starts.

Only those of which something is due: by the hints that whoever moves messages leaves in the counters
(`shared.messages.hints`), by their times, or by what a user changed. Each is found through an index of just these, so
that nothing here grows with the number of mailings that wait or are over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from dispatcher_service.leading.isolation import Isolation
from shared.clock import ticks
from shared.domain.priority import Priority
from shared.messages.parts import Place
from shared.messages.waiting import find_waiting
from shared.standing import is_blocked


class Mailing(NamedTuple):
    """A mailing that is looked at.

    part: where its messages are; None: it has none yet. version: another one after each change of the mailing; None
    while it is launched, which changes it all the time. test: it was made by a test key. over: its end has passed.
    closed: it has ended, and no message of it waited any more. unlaunched: messages of it are to be created. due_lanes:
    those in which some are to be claimed. waiting: some are not final and not on the wire.
    """

    id: int
    part: int | None
    audience: int
    ends_at: datetime
    priority: Priority
    version: int | None
    test: bool
    over: bool
    cancelled: bool
    closed: bool
    window_changed: bool
    unlaunched: bool
    due_lanes: Sequence[int]
    waiting: bool

    @property
    def due(self) -> bool:
        """Whether some are to be claimed."""
        return bool(self.due_lanes)

    @property
    def is_to_close(self) -> bool:
        return (self.over or self.cancelled) and (self.waiting or not self.closed)

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to do but to settle its hints."""
        return not (self.is_to_close or self.unlaunched or self.window_changed or self.due)


@dataclass(frozen=True, slots=True)
class Look:
    """mailings: those of which something is due, nearest end first. next_start: when another one starts that no launch
    job will announce then, in ticks; None where there is none."""

    mailings: Sequence[Mailing] = ()
    next_start: float | None = None

    @property
    def due(self) -> Sequence[Mailing]:
        """Those that have messages to be fed."""
        return [mailing for mailing in self.mailings if mailing.due]

    @property
    def unlaunched(self) -> Sequence[Mailing]:
        """Those that are to be launched."""
        return [mailing for mailing in self.mailings if mailing.unlaunched]

    def among(self, fresh: Mapping[int, int | None], lanes: Sequence[int]) -> Sequence[Mailing]:
        """Those of which messages were created since, and that are to be fed with what room there is left by those that
        were due. fresh: the part of each. lanes: all in which the messages may be."""
        among = [mailing for mailing in self.mailings if mailing.id in fresh]
        return [mailing._replace(part=fresh[mailing.id], due_lanes=lanes) for mailing in among]


def look(connection: Connection) -> Look:
    """In the caller's transaction, whose moment it is about: no start falls between the two questions."""
    mailings, seconds = due_mailings(connection), until_next_start(connection)
    # By the clock after the answer: whoever comes a moment early finds nothing, and sleeps once more.
    return Look(mailings, None if seconds is None else ticks() + seconds)


CHEAP = 0.005
"""Seconds that a look may take in every step. It takes one or two thousandths, unless thousands of mailings are due. A
single one that takes longer says that the machine is busy; two in a row say that there is much to see."""

SHARE, LATEST = 0.1, 1.0
"""Else, the part of the time that looks may take, and the seconds after which there is one in any case."""


class Walk:
    """The looks of the leading thread. Where thousands of mailings are due, and wait for the broker to have room for
    them, the last look serves for some steps: whoever works for a mailing finds out by themselves what is due of it."""

    def __init__(self) -> None:
        self._last = Look()
        self._next_at = 0.0
        self._cost = 0.0  # of the last look, in seconds
        self._is_owed = False
        self.has_looked = False
        """Whether `look` gave what it saw at that moment, and not what it had seen before, or nothing."""

    def look(self, acts: Isolation) -> Look:
        self.has_looked, self._is_owed = False, ticks() < self._next_at
        if self._is_owed:
            return self._last
        since = ticks()
        found = acts.run("walk", None, lambda connection, _: look(connection))
        self._last, self.has_looked = found or Look(), found is not None
        before, self._cost = self._cost, ticks() - since
        cost = min(before, self._cost)
        self._next_at = ticks() + min(cost / SHARE, LATEST) if cost > CHEAP else 0.0
        return self._last

    def until_next(self) -> float | None:
        """Seconds until the look that was asked for and not made; None where there is none."""
        return self._next_at - ticks() if self._is_owed else None


def due_mailings(connection: Connection) -> Sequence[Mailing]:
    """The mailings of which something is due, nearest end first."""
    found = connection.execute(WALK).all()
    waiting = find_waiting(connection, [Place(row.id, row.part) for row in found])
    return [Mailing._make((*row[1:], row.may_be_fed and waiting.get(row.id, ()), row.id in waiting)) for row in found]


# A paused mailing is launched only to be closed, when its end has passed.
# `limit 1`: by the id and by nothing else, whatever the statistics promise.
WALK = text(f"""
    with found as (
        select mailing_id as id from mailing_counters where due_at <= now()
        union
        select id from mailings where starts_at <= now()
          and launched_at is null and paused_at is null and cancelled_at is null and finished_at is null
        union
        select id from mailings where ends_at <= now() and closed_at is null and finished_at is null
        union
        select id from mailings where cancelled_at is not null and closed_at is null and finished_at is null
        union
        select id from mailings where window_changed and paused_at is null and finished_at is null
          and cancelled_at is null and ends_at > now()
    )
    select not over and not cancelled and paused_at is null and not {is_blocked("m")} as may_be_fed,
           m.id, m.part, m.audience, m.ends_at, m.priority,
           case when launched_at is not null then version::text::bigint end as version,
           m.test, over, cancelled, closed_at is not null as closed,
           window_changed and starts_at <= now() and not over and not cancelled and paused_at is null as window_changed,
           launched_at is null and not cancelled and (over or starts_at <= now() and paused_at is null) as unlaunched
    from found
    cross join lateral (select *, xmin as version from mailings where id = found.id limit 1) m
    cross join lateral (select m.ends_at <= now() as over, m.cancelled_at is not null as cancelled) state
    order by m.ends_at, m.id
""")


def until_next_start(connection: Connection) -> float | None:
    """Seconds until a mailing starts that no launch job will announce then; None where there is none."""
    seconds: float | None = connection.scalar(_NEXT_START)
    return seconds


_NEXT_START = text("""
    select extract(epoch from min(starts_at) - clock_timestamp())::float from mailings
    where starts_at > now()
      and launched_at is null and finished_at is null and cancelled_at is null and paused_at is null
""")
