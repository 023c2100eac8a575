"""A dispatcher takes messages that it alone may send, until a lease runs out."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.hours import hours_of
from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.cancel import cancel_locked
from shared.messages.fragments import (
    IS_ADDRESSED,
    JOB,
    MAY_BE_SENT,
    AnyRow,
    array,
    enter,
    lock_job,
    mailing_with,
    openings_of,
    put_back,
    window_of,
)
from shared.messages.parts import Place


class Claimed(NamedTuple):
    """A message that this dispatcher alone may send, until its lease runs out.

    phone: where every repeat goes, too. calls: those made before. attempts: those of them that are spent. ends_at: the
    mailing's end. deadline: nothing is handed over from this moment on; the end, or the closing of the client's window.
    repeat: the provider may have taken an earlier call. first_called_at, last_called_at: when the first and the last of
    the calls had ended.
    """

    id: int
    mailing_id: int
    part: int
    client_id: int
    claim_id: int
    phone: int
    text: str
    calls: int
    attempts: int
    ends_at: datetime
    deadline: datetime
    repeat: bool
    first_called_at: datetime | None = None
    last_called_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """id: the fencing token. now: the database's clock at the claim."""

    id: int
    now: datetime
    messages: Sequence[Claimed]


def claim_messages(
    connection: Connection,
    entries: Entries,
    mailing_id: int,
    message_ids: Sequence[int],
    *,
    lease: timedelta,
) -> Claim | None:
    """Takes those of the messages that are to be sent now; the others are skipped, or handed back where they must wait.

    Skipped is what is final, leased, not due yet, locked, or belongs to a mailing that is cancelled or over.
    None where nothing was claimed.
    """
    mailing = connection.execute(_MAILING, {"mailing_id": mailing_id}).one_or_none()
    if mailing is None or mailing.over:
        return None
    ids = sorted(set(message_ids))
    rows = [] if mailing.paused else _move_to_sending(connection, mailing, ids, lease)
    if len(rows) < len(ids):
        _put_off(connection, entries, mailing, ids)
    if not rows:
        return None
    enter(entries, mailing_id, Counter(row.status for row in rows), MessageState.SENDING)
    entries.repeated(mailing_id, sum(row.maybe_delivered for row in rows))
    return Claim(mailing.claim_id, mailing.now, _claimed(mailing, rows))


# `claims` gives every claim a number of its own, the fencing token: a result is recorded only while the row carries it.
_MAILING = mailing_with(", nextval('claims') as claim_id")


def _move_to_sending(
    connection: Connection, mailing: AnyRow, message_ids: Sequence[int], lease: timedelta
) -> Sequence[AnyRow]:
    """Moves those to `sending` that may be sent now."""
    window, job = window_of(mailing), {"mailing_id": mailing.id, "part": mailing.part, "ids": array(message_ids)}
    zones = None
    if window is not None:
        zones = connection.scalars(_ZONES, job).all()
        zones = [zone for zone in zones if hours_of(window, zone).at(mailing.now)[0]]
    return connection.execute(
        _MOVE_TO_SENDING, {**job, "zones": zones, "claim_id": mailing.claim_id, "lease": lease}
    ).all()


# The zones in which the window is open, as far as these messages go; none: there is no window.
_MOVE_TO_SENDING = text(f"""
    with job as materialized (
        select m.id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered, m.first_called_at, m.last_called_at,
               m.phone, c.timezone {JOB}
        where {MAY_BE_SENT} and c.timezone is not null and {IS_ADDRESSED}
          and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[])))
    ), moved as (
        update messages set status = 'sending', claim_id = :claim_id, due_at = now() + :lease
        where part = :part and id = any(array(select id from job))
    )
    select * from job
""")

_ZONES = text("""
    select distinct c.timezone
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select client_id from messages where part = :part and id = job.id limit 1) m
    cross join lateral (select timezone from clients where id = m.client_id limit 1) c
""")


def _put_off(connection: Connection, entries: Entries, mailing: AnyRow, message_ids: Sequence[int]) -> None:
    """Those that were to be sent and may not now: they wait for the end of the pause or for the opening of the window;
    without a client they are cancelled. Those that name another phone than the client's get it, and are due."""
    place = Place(mailing.id, mailing.part)
    rows = lock_job(connection, place, message_ids)
    if orphans := [row.id for row in rows if row.timezone is None and not mailing.paused]:
        cancel_locked(connection, entries, mailing.part, orphans)
        rows = [row for row in rows if row.timezone is not None]
    if misled := [row.id for row in rows if row.timezone is not None and not row.is_addressed]:
        connection.execute(_READDRESS, {"part": mailing.part, "ids": array(misled)})
    openings = {} if mailing.paused else openings_of(mailing, {row.timezone for row in rows})
    waiting = defaultdict(list)
    for row in rows:
        waiting[openings.get(row.timezone, mailing.now)].append(row)
    for moment, some in sorted(waiting.items()):
        put_back(connection, entries, place, some, moment - mailing.now)


_READDRESS = text("""
    update messages m set phone = (select phone from clients where id = m.client_id limit 1)
    where part = :part and id = any(cast(:ids as bigint[]))
""")


def _claimed(mailing: AnyRow, rows: Sequence[AnyRow]) -> list[Claimed]:
    window, ends_at = window_of(mailing), mailing.ends_at
    deadlines = dict.fromkeys({row.timezone for row in rows}, ends_at)
    if window is not None:
        deadlines = {zone: min(ends_at, hours_of(window, zone).at(mailing.now)[1]) for zone in deadlines}
    mailing_id, part, claim_id, text = mailing.id, mailing.part, mailing.claim_id, mailing.text
    return [
        Claimed(  # in the order of its fields: by their names it takes twice as long
            message_id, mailing_id, part, client_id, claim_id, phone, text, calls, attempts, ends_at,
            deadlines[timezone], maybe_delivered, first, last,
        )
        for message_id, _, client_id, calls, attempts, maybe_delivered, first, last, phone, timezone in rows
    ]  # fmt: skip
