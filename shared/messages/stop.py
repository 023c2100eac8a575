"""Messages of a claim that may not be sent now: a gate stops them, or their client is gone."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

from shared.domain.gates.gate import Case, Skip, Wait
from shared.domain.gates.order import OF_SQL, READS, first_stop
from shared.domain.gates.window import window_of
from shared.domain.message import MessageState
from shared.domain.reason import Reason
from shared.ledger.entries import Entries
from shared.messages.cancel import cancel_locked
from shared.messages.fragments import (
    IS_ADDRESSED,
    JOB,
    JOB_AS_ASSIGNED,
    MAY_BE_SENT,
    MAY_BE_SENT_AS_ASSIGNED,
    AnyRow,
    array,
)
from shared.messages.skip import skip_locked
from shared.messages.zones import hold_zones


def stop_messages(connection: Connection, entries: Entries, group: Sequence[AnyRow], job: Mapping[str, object]) -> None:
    """What was to be claimed and was not: it is skipped, or waits; without a client it is cancelled. Those that name
    another phone than the client's get it, and are due.

    Where the window has changed meanwhile, or somebody is about to change it, nothing waits for it any more: whoever
    goes through the mailing to time its messages anew may have passed these.
    """
    mailing, part = group[0], group[0].part
    if window_of(mailing):
        hold_zones(connection)
    rows = connection.execute(_LOCK_AS_ASSIGNED if "providers" in job else _LOCK_JOB, job).all()
    if orphans := [row.id for row in rows if row.timezone is None]:
        cancel_locked(connection, entries, part, orphans)
        rows = [row for row in rows if row.timezone is not None]
    mailings = {one.id: one for one in group}
    skipped: dict[Reason, list[int]] = defaultdict(list)
    waiting: dict[datetime, list[AnyRow]] = defaultdict(list)
    misled = []
    for row in rows:
        stop = first_stop(Case(mailings[row.mailing_id], row), OF_SQL)
        if isinstance(stop, Skip):
            skipped[stop.reason].append(row.id)
            continue
        waiting[stop.until if isinstance(stop, Wait) else mailing.now].append(row)
        if not row.is_addressed:
            misled.append(row.id)
    for reason, ids in skipped.items():
        skip_locked(connection, entries, part, ids, reason)
    if misled:
        connection.execute(_READDRESS, {"part": part, "ids": array(misled)})
    if waiting and window_of(mailing) and not connection.execute(_HOLD_WINDOW, {**mailing._mapping}).first():
        return
    for moment, some in sorted(waiting.items()):
        due_in = moment - mailing.now
        connection.execute(_PUT_BACK, {"part": part, "ids": array(row.id for row in some), "due_in": due_in})
        for (mailing_id, status), count in Counter((row.mailing_id, row.status) for row in some).items():
            entries.moved(mailing_id, MessageState(status), MessageState.PENDING, count, due_in=due_in)
            if due_in:
                entries.opens(mailing_id, moment, count)


def _locking(job: str, may_be_sent: str) -> TextClause:
    return text(f"""
        select m.id, m.mailing_id, m.status, {READS}, {IS_ADDRESSED} as is_addressed {job}
        where {may_be_sent}
    """)


_LOCK_JOB = _locking(JOB, MAY_BE_SENT)
_LOCK_AS_ASSIGNED = _locking(JOB_AS_ASSIGNED, MAY_BE_SENT_AS_ASSIGNED)

_READDRESS = text("""
    update messages m set phone = (select phone from clients where id = m.client_id limit 1)
    where part = :part and id = any(cast(:ids as bigint[]))
""")

# Until the end of the transaction nobody changes it.
_HOLD_WINDOW = text("""
    select id from mailings where id = :id and window_from = :window_from and window_until = :window_until
    for share skip locked
""")

_PUT_BACK = text("""
    update messages set status = 'pending', due_at = now() + :due_in
    where part = :part and id = any(cast(:ids as bigint[]))
""")
