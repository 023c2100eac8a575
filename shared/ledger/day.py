"""What a day's report says beside its figures: when it happened, what failed as a whole, what may have come twice.

Nothing of mailings that stand apart.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.apart import NOT_APART
from shared.domain.message import FINAL_STATES, MessageState
from shared.domain.state_sql import names
from shared.ledger.names import IS_FINAL, REPEATED

UNTRIED = frozenset({"cancelled", "skipped"})
"""Final states of what was not to be sent any more: neither a success nor a failure."""

LOST = names(sorted(state for state in FINAL_STATES if state is not MessageState.SENT and state not in UNTRIED))


class Quarter(NamedTuple):
    """Messages that got their last state in a quarter of an hour."""

    at: datetime
    accepted: int
    others: int


class Failed(NamedTuple):
    """ids: of mailings of which the provider never accepted anything, though it was to; the largest first, and not all
    where there are very many. number: of all of them."""

    ids: Sequence[int] = ()
    number: int = 0


def read_quarters(connection: Connection, start: datetime, end: datetime) -> list[Quarter]:
    """From `start` (included) to `end` (excluded); one in which nothing happened is left out."""
    rows = connection.execute(_QUARTERS, {"start": start, "end": end})
    return [Quarter(row.quarter, row.accepted, row.others) for row in rows]


_QUARTERS = text(f"""
    select quarter, coalesce(sum(count) filter (where name = 'sent'), 0)::bigint as accepted,
           coalesce(sum(count) filter (where name <> 'sent'), 0)::bigint as others
    from tallies where quarter >= :start and quarter < :end and {IS_FINAL} and {NOT_APART}
    group by quarter order by quarter
""")


def read_repeats(connection: Connection, start: datetime, end: datetime) -> int:
    """Calls for messages that the provider may have had already."""
    return connection.scalar(_REPEATS, {"start": start, "end": end}) or 0


_REPEATS = text(f"""
    select coalesce(sum(count), 0)::bigint from tallies
    where quarter >= :start and quarter < :end and name = '{REPEATED}' and {NOT_APART}
""")


def read_failed(connection: Connection, start: datetime, end: datetime, limit: int) -> Failed:
    """Of the mailings that lost messages in that time."""
    rows = connection.execute(_FAILED, {"start": start, "end": end, "limit": limit}).all()
    return Failed([row.mailing_id for row in rows], rows[0].all_of_them) if rows else Failed()


_FAILED = text(f"""
    select mailing_id, count(*) over () as all_of_them
    from (
        select mailing_id, sum(count) as number from tallies
        where quarter >= :start and quarter < :end and name in {LOST} and {NOT_APART} group by mailing_id
    ) lost
    where number > 0
      and 0 = (select coalesce(sum(c.sent), 0) from mailing_counters c where c.mailing_id = lost.mailing_id)
    order by number desc, mailing_id limit :limit
""")
