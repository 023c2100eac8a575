"""One look at what is due: the mailings that have begun, and when the next one starts."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from sqlalchemy import Connection, Row, text

Mailing = Row[tuple[object, ...]]
"""A row of WALK."""


@dataclass(frozen=True, slots=True)
class Look:
    """mailings: those that have begun and are not finished, nearest end first. next_start: seconds until another one
    starts that no launch job will announce then; None where there is none."""

    mailings: Sequence[Mailing] = ()
    next_start: float | None = None

    @property
    def due(self) -> Sequence[int]:
        """The ids of those that have messages to be fed.

        Not of those whose window was changed, before all of their messages are timed anew: what is taken and has to
        wait looks untimed.
        """
        return [mailing.id for mailing in self.mailings if mailing.due and not mailing.window_changed]

    @property
    def unlaunched(self) -> Sequence[Mailing]:
        """Those that are to be launched."""
        return [mailing for mailing in self.mailings if mailing.unlaunched]

    def among(self, fresh: Set[int]) -> Sequence[int]:
        """The ids of those of which messages were created since, and that are to be fed with what room there is left by
        those that were due."""
        return [mailing.id for mailing in self.mailings if mailing.id in fresh and not mailing.window_changed]


def look(connection: Connection) -> Look:
    """In the caller's transaction, whose moment it is about: no start falls between the two questions."""
    return Look(begun_mailings(connection), until_next_start(connection))


def begun_mailings(connection: Connection) -> Sequence[Mailing]:
    """The mailings that have begun and are not finished, nearest end first."""
    return connection.execute(WALK).all()


# A paused mailing is launched only to be closed, when its end has passed.
WALK = text("""
    select id, audience, ends_at, over, cancelled, window_changed,
           launched_at is null and not cancelled as unlaunched,
           not over and not cancelled and (
               select due_at from messages where mailing_id = mailings.id
                 and status in ('pending', 'queued', 'retrying') order by due_at limit 1) <= now() as due
    from mailings, lateral (select ends_at <= now() as over, cancelled_at is not null as cancelled) state
    where finished_at is null and (cancelled or over or starts_at <= now() and paused_at is null)
    order by ends_at, id
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
