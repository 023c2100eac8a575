"""The hints of mailings, held against what the mailings really have to do next.

A hint stands in a slot of a mailing's counters and says when the mailing is to be looked at (`shared.ledger.entries`).
Of every mailing that is not paused no waiting message is due before the nearest of its hints.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import FINAL_STATES
from shared.domain.state_sql import IS_WAITING, total
from shared.ledger.entries import Entries

RECHECK = timedelta(seconds=5)
"""How long a mailing that can be finished may take to be, before it is looked at again."""


def settle_hints(connection: Connection, mailing_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Mailings of which a hint is due and no message: they are hinted at for when the next one is. Those among them
    that can be finished, since all their messages are final by the counters: ids and audiences.

    Whoever moves messages writes the hint into their slot at the end of their transaction. So once a slot is locked,
    what was moved by it before can be seen by the next statement, and what is moved later leaves its hint after this
    one. A slot that somebody holds keeps its hint.
    """
    slots = connection.execute(_LOCK, {"mailing_ids": sorted(mailing_ids)}).all()
    if not slots:
        return []
    looks = {row.id: row for row in connection.execute(_LOOK, {"mailing_ids": sorted({row[0] for row in slots})})}
    hints, known = [], set[int]()
    for mailing_id, _ in slots:
        look = looks.get(mailing_id)
        hints.append(None if look is None or mailing_id in known else look.hint)
        known.add(mailing_id)
    connection.execute(
        _SETTLE, {"mailing_ids": [row[0] for row in slots], "slots": [row[1] for row in slots], "hints": hints}
    )
    return sorted((look.id, look.audience) for look in looks.values() if look.is_complete)


_LOCK = text("""
    select mailing_id, slot from mailing_counters where mailing_id = any(:mailing_ids) and due_at <= now()
    order by mailing_id, slot for update skip locked
""")

# When a mailing is next to be looked at because of its messages. One that has ended is found without a hint until it is
# closed; one that is paused waits for whoever resumes it.
_NEXT = f"""
    select m.id, m.audience, s.is_complete, case
        when m.finished_at is not null or s.has_ended and m.closed_at is null then null
        when s.is_complete then now() + interval '{RECHECK.total_seconds():g} s'
        when m.paused_at is null or s.has_ended then (
            select due_at from messages where mailing_id = m.id and {IS_WAITING} order by due_at limit 1)
        end as hint
    from mailings m cross join lateral (
        select m.cancelled_at is not null or m.ends_at <= now() as has_ended,
               m.finished_at is null and (m.launched_at is not null or m.cancelled_at is not null) and m.audience = (
                   select coalesce(sum({total(FINAL_STATES, "c")}), 0)
                   from mailing_counters c where c.mailing_id = m.id) as is_complete
    ) s
"""

_LOOK = text(f"{_NEXT} where m.id = any(:mailing_ids)")

_SETTLE = text("""
    update mailing_counters c set due_at = settled.hint
    from unnest(cast(:mailing_ids as bigint[]), cast(:slots as smallint[]), cast(:hints as timestamptz[]))
        as settled (mailing_id, slot, hint)
    where c.mailing_id = settled.mailing_id and c.slot = settled.slot
""")


class Part(NamedTuple):
    """A part of the way round. last: the id behind which the next part begins; 0: at the start. lost: the mailings that
    had no hint in time."""

    last: int
    lost: Sequence[int]


def mend_hints(connection: Connection, entries: Entries, after: int, limit: int) -> Part:
    """Looks at the next mailings that are not finished, whatever their hints say, and gives one to those whose messages
    are due, or that can be finished, before anybody would look: there are none unless rows were changed by hand, by an
    older version, or by a defect."""
    rows = connection.execute(_MEND, {"after": after, "limit": limit}).all()
    lost = [row.id for row in rows if row.is_lost]
    for mailing_id in lost:
        entries.look(mailing_id)
    return Part(rows[-1].id if len(rows) == limit else 0, lost)


# In one statement, and so as of one moment: whoever moves messages leaves both or neither. `offset 0`: the least of a
# few slots, and not the first of the mailing in an index of all hints, whatever the statistics promise.
_MEND = text(f"""
    select look.id, look.hint is not null and greatest(look.hint, now()) < coalesce(known.hint, 'infinity') as is_lost
    from ({_NEXT} where m.finished_at is null and m.id > :after order by m.id limit :limit) look
    cross join lateral (
        select min(due_at) as hint from (
            select due_at from mailing_counters where mailing_id = look.id offset 0) slots) known
    order by look.id
""")
