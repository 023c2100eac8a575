"""A claim of messages whose texts are made for their clients, of the attributes that these have then.

The text is written into the row with the claim, before any call: whoever repeats the call finds the same bytes, even if
the one who made them is dead. A claim that is handed back without a call takes it out again (`record`).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from sqlalchemy import Connection, TextClause, text

from shared.domain.attributes import Value
from shared.domain.gates.gate import Case, Skip
from shared.domain.gates.order import OF_TEXTS, PASSES, first_stop
from shared.domain.reason import Reason
from shared.domain.text.template import renderer
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
    array_of_texts,
)
from shared.messages.skip import skip_locked


def move_personal(
    connection: Connection, entries: Entries, group: Sequence[AnyRow], job: Mapping[str, object]
) -> tuple[Sequence[AnyRow], Mapping[int, str]]:
    """Moves those to `sending` that may be sent now: their rows, which begin as `CLAIMED` has them, and their texts.
    Skips those of which no text can be made that may be sent."""
    mailings = {mailing.id: mailing for mailing in group}
    renders = {mailing.id: renderer(mailing.text) for mailing in group}
    is_assigned = "providers" in job
    found = connection.execute(_LOCK_AS_ASSIGNED if is_assigned else _LOCK, job).all()
    moved: list[AnyRow] = []
    texts: dict[int, str] = {}
    skipped: dict[Reason, list[int]] = defaultdict(list)
    for row, attributes in zip(found, _attributes(found), strict=True):
        message_id, mailing_id, text, is_called = _READ(row)
        if text is None:  # one that was called without one is of a version that made none, and sent what is there
            text = mailings[mailing_id].text if is_called else renders[mailing_id](attributes)
        stop = first_stop(Case(mailings[mailing_id], row, text), OF_TEXTS)
        if isinstance(stop, Skip):
            skipped[stop.reason].append(message_id)
        else:
            moved.append(row)
            texts[message_id] = text
    if texts:
        move = {**job, "ids": array(texts), "texts": array_of_texts(texts.values())}
        if is_assigned:
            move["providers"] = array(row.provider for row in moved)
        connection.execute(_MOVE_AS_ASSIGNED if is_assigned else _MOVE, move)
    for reason, ids in skipped.items():
        skip_locked(connection, entries, group[0].part, ids, reason)
    return moved, texts


_AT_ID, _AT_MAILING, _AT_TEXT, _AT_CALLED, _AT_ATTRIBUTES = 0, 1, -3, -2, -1
_READ = itemgetter(_AT_ID, _AT_MAILING, _AT_TEXT, _AT_CALLED)  # by their names they take twice as long


def _attributes(rows: Sequence[AnyRow]) -> Sequence[Mapping[str, Value]]:
    """What is known of the client of each, where a text is to be made of it. All of it is read at once, which takes a
    third of the time of one after the other."""
    read: Sequence[Mapping[str, Value]] = json.loads(f"[{','.join([row[_AT_ATTRIBUTES] or 'null' for row in rows])}]")
    return read


def _locking(columns: str, job: str, may_be_sent: str) -> TextClause:
    return text(f"""
        select {columns}, m.text, {IS_CALLED} as is_called,
               case when m.text is null then c.attributes::text end as attributes
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
