"""A claim of messages whose texts are made for their clients, of the attributes that these have then.

The text is written into the row with the claim, before any call: whoever repeats the call finds the same bytes, even if
the one who made them is dead. A claim that is handed back without a call takes it out again (`record`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, TextClause, text

from shared.domain.gates.gate import Case, Skip
from shared.domain.gates.order import OF_TEXTS, PASSES, first_stop
from shared.domain.reason import Reason
from shared.domain.text.template import made_of
from shared.domain.text.unmade import Unmade
from shared.ledger.entries import Entries
from shared.messages.fragments import (
    CLAIMED,
    CLAIMED_AS_ASSIGNED,
    IS_ADDRESSED,
    IS_CALLED,
    JOB,
    JOB_AS_ASSIGNED,
    MAY_BE_SENT,
    MAY_BE_SENT_AS_ASSIGNED,
    AnyRow,
    array,
)
from shared.messages.skip import skip_locked


def move_personal(
    connection: Connection, entries: Entries, group: Sequence[AnyRow], job: Mapping[str, object]
) -> tuple[Sequence[AnyRow], Mapping[int, str]]:
    """Moves those to `sending` that may be sent now: their rows, which begin as `CLAIMED` has them, and their texts.
    Skips those of which no text can be made that may be sent."""
    mailings = {mailing.id: mailing for mailing in group}
    is_assigned = "providers" in job
    found = connection.execute(_LOCK_AS_ASSIGNED if is_assigned else _LOCK, job).all()
    texts: dict[int, str] = {}
    skipped: dict[Reason, list[int]] = defaultdict(list)
    for row in found:
        text = _text(mailings[row.mailing_id], row)
        stop = first_stop(Case(mailings[row.mailing_id], row, text), OF_TEXTS)
        if isinstance(stop, Skip):
            skipped[stop.reason].append(row.id)
        else:
            texts[row.id] = str(text)
    if texts:
        moved = {**job, "ids": array(texts), "texts": list(texts.values())}
        if is_assigned:
            moved["providers"] = array(row.provider for row in found if row.id in texts)
        connection.execute(_MOVE_AS_ASSIGNED if is_assigned else _MOVE, moved)
    for reason, ids in skipped.items():
        skip_locked(connection, entries, group[0].part, ids, reason)
    return [row for row in found if row.id in texts], texts


def _text(mailing: AnyRow, row: AnyRow) -> str | Unmade:
    """One that was called has its text; without one it is of a version that made none, and sent what is there."""
    if row.text is not None:
        return str(row.text)
    return made_of(mailing.text, mailing.personal and not row.is_called, row.attributes)


def _locking(columns: str, job: str, may_be_sent: str) -> TextClause:
    return text(f"""
        select {columns}, m.text, {IS_CALLED} as is_called, case when m.text is null then c.attributes end as attributes
        {job}
        where {may_be_sent} and c.timezone is not null and {PASSES} and {IS_ADDRESSED}
    """)


_LOCK = _locking(CLAIMED, JOB, MAY_BE_SENT)
_LOCK_AS_ASSIGNED = _locking(CLAIMED_AS_ASSIGNED, JOB_AS_ASSIGNED, MAY_BE_SENT_AS_ASSIGNED)

_MOVE = text("""
    update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease, text = job.text
    from unnest(cast(:ids as bigint[]), cast(:texts as text[])) as job (id, text)
    where m.part = :part and m.id = job.id
""")
_MOVE_AS_ASSIGNED = text("""
    update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease, text = job.text,
        provider = job.provider
    from unnest(cast(:ids as bigint[]), cast(:texts as text[]), cast(:providers as smallint[]))
        as job (id, text, provider)
    where m.part = :part and m.id = job.id
""")
