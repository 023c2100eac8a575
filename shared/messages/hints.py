"""The hints of mailings, held against what the mailings really have to do next.

A hint stands in a slot of a mailing's counters and says when the mailing is to be looked at (`shared.ledger.entries`).
Of every mailing that is not paused no waiting message is due before the nearest of its hints.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import FINAL_STATES
from shared.domain.state_sql import total
from shared.ledger.entries import Entries
from shared.messages.fragments import next_due
from shared.messages.parts import parts_of
from shared.standing import held_until

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
    looks = {
        row.id: row
        for part, ids in parts_of(connection, [*{row[0] for row in slots}]).items()
        for row in connection.execute(_LOOK, {"part": part, "mailing_ids": ids})
    }
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
# closed; one that is paused waits for whoever resumes it, one that is held back for the end of that.
_FIRST_DUE = next_due("due_at", "g.id", limit="1")
_NEXT = f"""
    select g.id, g.audience, counted.hint as known, s.is_complete, case
        when g.finished_at is not null or s.has_ended and g.closed_at is null then null
        when s.is_complete then now() + interval '{RECHECK.total_seconds():g} s'
        when s.has_ended then ({_FIRST_DUE})
        when g.paused_at is null then (select greatest(due_at, {held_until("g")}) from ({_FIRST_DUE}) next)
        end as hint
    from mailings g cross join lateral (
        select coalesce(sum({total(FINAL_STATES, "c")}), 0) as final, min(due_at) as hint
        from mailing_counters c where c.mailing_id = g.id
    ) counted cross join lateral (
        select g.cancelled_at is not null or g.ends_at <= now() as has_ended,
               g.finished_at is null and (g.launched_at is not null or g.cancelled_at is not null)
                   and g.audience = counted.final as is_complete
    ) s
"""

_LOOK = text(f"{_NEXT} where g.id = any(:mailing_ids)")

_SETTLE = text("""
    update mailing_counters c set due_at = settled.hint
    from unnest(cast(:mailing_ids as bigint[]), cast(:slots as smallint[]), cast(:hints as timestamptz[]))
        as settled (mailing_id, slot, hint)
    where c.mailing_id = settled.mailing_id and c.slot = settled.slot
""")


class Stretch(NamedTuple):
    """A stretch of the way round. last: the id behind which the next one begins; 0: at the start. lost: the mailings
    that had no hint in time."""

    last: int
    lost: Sequence[int]


def mend_hints(connection: Connection, entries: Entries, after: int, limit: int) -> Stretch:
    """Looks at the next mailings that are not finished, whatever their hints say, and gives one to those whose messages
    are due, or that can be finished, before anybody would look: there are none unless rows were changed by hand, by an
    older version, or by a defect."""
    mailing_ids = connection.scalars(_UNFINISHED, {"after": after, "limit": limit}).all()
    lost = sorted(
        mailing_id
        for part, ids in parts_of(connection, mailing_ids).items()
        for mailing_id in connection.scalars(_LOST, {"part": part, "mailing_ids": ids})
    )
    for mailing_id in lost:
        entries.look(mailing_id)
    return Stretch(mailing_ids[-1] if len(mailing_ids) == limit else 0, lost)


_UNFINISHED = text("""
    select id from mailings where finished_at is null and not draft and id > :after order by id limit :limit
""")

# In one statement, and so as of one moment: whoever moves messages leaves both or neither. `offset 0`: what a mailing
# has to do next is looked for once.
_LOST = text(f"""
    select look.id from ({_NEXT} where g.finished_at is null and g.id = any(:mailing_ids) offset 0) look
    where look.hint is not null and greatest(look.hint, now()) < coalesce(look.known, 'infinity')
""")
