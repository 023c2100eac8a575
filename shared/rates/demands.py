"""What mailings still have to send and until when, and how many dispatchers that takes: from counters, and never from
all messages."""

from collections.abc import Sequence
from datetime import time
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import OPEN_STATES
from shared.domain.state_sql import total
from shared.standing import is_blocked

DAY = 24 * 60


class Unsent(NamedTuple):
    """Of a mailing that runs. messages: those open that do not wait for their window. seconds: until its end, as many
    of them as its window is open."""

    mailing_id: int
    part: int
    messages: int
    seconds: float


class Page(NamedTuple):
    """last: the mailing behind which the next page begins; None: this is the last one."""

    unsent: Sequence[Unsent]
    last: int | None


def read_unsent(connection: Connection, after: int, limit: int) -> Page:
    """Of the next `limit` mailings that have begun and are not finished, those that have something to send. Tests are
    not among them, nor what is held back: that has its own pace."""
    rows = connection.execute(_UNSENT, {"after": after, "limit": limit}).all()
    unsent = [
        Unsent(row.id, row.part, row.messages, row.seconds * _part_of_day(row.window_from, row.window_until))
        for row in rows
        if row.is_running and row.messages > 0
    ]
    return Page(unsent, rows[-1].id if len(rows) == limit else None)


def _part_of_day(start: time | None, end: time | None) -> float:
    if start is None or end is None:
        return 1.0
    minutes = (end.hour - start.hour) * 60 + end.minute - start.minute
    return (minutes % DAY or DAY) / DAY


# Who was skipped before an opening is still counted in it, so there may seem to be fewer than none.
_UNSENT = text(f"""
    select m.id, m.part, m.window_from, m.window_until, extract(epoch from m.ends_at - now())::float as seconds,
           m.part is not null and m.paused_at is null and m.cancelled_at is null and m.ends_at > now() and not m.test
               and not {is_blocked("m")} as is_running,
           (counted.messages - ahead.messages)::bigint as messages
    from mailings m
    cross join lateral (
        select coalesce(sum({total(OPEN_STATES, "c")}), 0) as messages from mailing_counters c where c.mailing_id = m.id
    ) counted
    cross join lateral (
        select coalesce(sum(messages), 0) as messages from mailing_openings o
        where o.mailing_id = m.id and o.opens_at > now()
    ) ahead
    where m.finished_at is null and m.audience_limit is not null and m.id > :after
    order by m.id limit :limit
""")


class Reckoned(NamedTuple):
    """wanted: so many dispatchers there should be. oldest_due: for how many seconds somebody has been due."""

    wanted: int
    oldest_due: float


def keep_reckoned(connection: Connection, reckoned: Reckoned) -> None:
    """For whoever scales the dispatchers: it outlives the process that has reckoned it."""
    connection.execute(_KEEP, reckoned._asdict())


_KEEP = text("""
    insert into scaling (id, wanted, oldest_due) values (1, :wanted, :oldest_due)
    on conflict (id) do update
    set wanted = excluded.wanted, oldest_due = excluded.oldest_due, reckoned_at = now()
""")
