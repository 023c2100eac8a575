"""A dispatcher takes messages that it alone may send, until a lease runs out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.hours import hours_of
from shared.domain.message import MessageState
from shared.domain.reason import Reason
from shared.ledger.entries import Entries
from shared.messages.cancel import cancel_locked
from shared.messages.fragments import (
    IS_ADDRESSED,
    IS_SUPPRESSED,
    JOB,
    JOB_AS_ASSIGNED,
    MAY_BE_SENT,
    MAY_BE_SENT_AS_ASSIGNED,
    AnyRow,
    array,
    openings_of,
    window_of,
)
from shared.messages.skip import skip_locked
from shared.messages.zones import hold_zones


class Claimed(NamedTuple):
    """A message that this dispatcher alone may send, until its lease runs out.

    phone: where every repeat goes, too. calls: those made before. attempts: those of them that are spent. ends_at: the
    mailing's end. deadline: nothing is handed over from this moment on; the end, or the closing of the client's window.
    repeat: the provider may have taken an earlier call. first_called_at, last_called_at: when the first and the last of
    the calls had ended. sender: the mailing's; None: it names none. provider: through whom it is to go, by number; 0:
    there is only one.
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
    sender: str | None = None
    provider: int = 0


class Assigned(NamedTuple):
    """Which way a message is to go: through this provider, as long as it is in this lane."""

    lane: int
    provider: int


@dataclass(frozen=True, slots=True)
class Claim:
    """now: the database's clock at the claim."""

    now: datetime
    messages: Sequence[Claimed]


def claim_messages(
    connection: Connection,
    entries: Entries,
    message_ids: Mapping[int, Sequence[int]],
    *,
    lease: timedelta,
    assigned: Mapping[int, Assigned] | None = None,
) -> Claim | None:
    """Decides about messages, by mailing: those that may be sent now are taken, those without a client cancelled, those
    to a suppressed phone skipped, and those outside their window put off.

    assigned: by message, where there are several providers; it is written down before the call, so that whoever finds
    the message after a crash knows who may have it. A message that is in another lane by now is left alone, too.

    Left alone is what is final, leased, not due yet, locked, or belongs to a mailing that is paused, cancelled or over.
    None where there is no such mailing.
    """
    mailings = {row.id: row for row in connection.execute(_MAILINGS, {"mailing_ids": list(message_ids)})}
    if not mailings:
        return None
    now = next(iter(mailings.values())).now
    claimed: list[Claimed] = []
    for group in _groups(mailings.values()):
        ids = sorted({message_id for mailing in group for message_id in message_ids[mailing.id]})
        rows = _move_to_sending(connection, group, ids, lease, assigned)
        if len(rows) < len(ids):
            _put_off(connection, entries, group, ids, assigned)
        _enter(entries, rows)
        claimed += _claimed({mailing.id: mailing for mailing in group}, rows)
    return Claim(now, claimed)


# `claims` gives every claim a number of its own, the fencing token: a result is recorded only while the row carries it.
_MAILINGS = text("""
    select id, part, text, sender, ends_at, window_from, window_until, now() as now,
           part is not null and paused_at is null and cancelled_at is null and ends_at > now() as is_running,
           (select nextval('claims')) as claim_id
    from mailings where id = any(:mailing_ids) order by id
""")


def _groups(mailings: Iterable[AnyRow]) -> Iterator[Sequence[AnyRow]]:
    """Mailings that run and of which one statement takes the messages: those of a part, unless they have windows."""
    of_part: dict[int, list[AnyRow]] = defaultdict(list)
    for mailing in mailings:
        if mailing.is_running and window_of(mailing):
            yield [mailing]
        elif mailing.is_running:
            of_part[mailing.part].append(mailing)
    yield from of_part.values()


def _job(
    group: Sequence[AnyRow], message_ids: Sequence[int], assigned: Mapping[int, Assigned] | None
) -> dict[str, object]:
    mailing_ids = array(mailing.id for mailing in group)
    job: dict[str, object] = {"part": group[0].part, "mailing_ids": mailing_ids, "ids": array(message_ids)}
    if assigned is not None:
        job["lanes"] = array(assigned[message_id].lane for message_id in message_ids)
        job["providers"] = array(assigned[message_id].provider for message_id in message_ids)
    return job


def _move_to_sending(
    connection: Connection,
    group: Sequence[AnyRow],
    message_ids: Sequence[int],
    lease: timedelta,
    assigned: Mapping[int, Assigned] | None,
) -> Sequence[AnyRow]:
    """Moves those to `sending` that may be sent now."""
    mailing, job = group[0], _job(group, message_ids, assigned)
    window, zones = window_of(mailing), None
    if window is not None:
        zones = connection.scalars(_ZONES, job).all()
        zones = [zone for zone in zones if hours_of(window, zone).at(mailing.now)[0]]
    statement = _MOVE_TO_SENDING if assigned is None else _MOVE_AS_ASSIGNED
    return connection.execute(statement, {**job, "zones": zones, "claim_id": mailing.claim_id, "lease": lease}).all()


# The zones in which the window is open, as far as these messages go; none: there is no window.
def _moving(job: str, may_be_sent: str, then: str, provider: str) -> TextClause:
    return text(f"""
        with job as materialized (
            select m.id, m.mailing_id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered,
                   m.first_called_at, m.last_called_at, m.phone, c.timezone, {provider} as provider {job}
            where {may_be_sent} and c.timezone is not null and not {IS_SUPPRESSED} and {IS_ADDRESSED}
              and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[])))
        ), moved as (
            update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease {then}
        )
        select * from job
    """)


_MOVE_TO_SENDING = _moving(JOB, MAY_BE_SENT, "where part = :part and id = any(array(select id from job))", "0")
_MOVE_AS_ASSIGNED = _moving(
    JOB_AS_ASSIGNED,
    MAY_BE_SENT_AS_ASSIGNED,
    ", provider = job.provider from job where m.part = :part and m.id = job.id",
    "job.provider",
)

_ZONES = text("""
    select distinct c.timezone
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select client_id from messages where part = :part and id = job.id limit 1) m
    cross join lateral (select timezone from clients where id = m.client_id limit 1) c
""")


_MAILING_AND_STATUS = itemgetter(1, 2)  # by their names they take as long as all the rest


def _enter(entries: Entries, rows: Sequence[AnyRow]) -> None:
    for (mailing_id, status), count in Counter(map(_MAILING_AND_STATUS, rows)).items():
        entries.moved(mailing_id, MessageState(status), MessageState.SENDING, count)
    for mailing_id, count in Counter(row.mailing_id for row in rows if row.maybe_delivered).items():
        entries.repeated(mailing_id, count)


def _put_off(
    connection: Connection,
    entries: Entries,
    group: Sequence[AnyRow],
    message_ids: Sequence[int],
    assigned: Mapping[int, Assigned] | None,
) -> None:
    """Those that were to be sent and may not now: they wait for the opening of the window; without a client they are
    cancelled, and skipped where the client is suppressed. Those that name another phone than the client's get it, and
    are due.

    Where the window has changed meanwhile, or somebody is about to change it, nothing waits for it any more: whoever
    goes through the mailing to time its messages anew may have passed these.
    """
    mailing, part = group[0], group[0].part
    if window_of(mailing):
        hold_zones(connection)
    statement = _LOCK_JOB if assigned is None else _LOCK_AS_ASSIGNED
    rows = connection.execute(statement, _job(group, message_ids, assigned)).all()
    if orphans := [row.id for row in rows if row.timezone is None]:
        cancel_locked(connection, entries, part, orphans)
        rows = [row for row in rows if row.timezone is not None]
    if suppressed := [row.id for row in rows if row.is_suppressed]:
        skip_locked(connection, entries, part, suppressed, Reason.OPTED_OUT)
        rows = [row for row in rows if not row.is_suppressed]
    if misled := [row.id for row in rows if not row.is_addressed]:
        connection.execute(_READDRESS, {"part": part, "ids": array(misled)})
    if rows and window_of(mailing) and not connection.execute(_HOLD_WINDOW, {**mailing._mapping}).first():
        return
    openings = openings_of(mailing, {row.timezone for row in rows})
    waiting = defaultdict(list)
    for row in rows:
        waiting[openings.get(row.timezone, mailing.now)].append(row)
    for moment, some in sorted(waiting.items()):
        due_in = moment - mailing.now
        connection.execute(_PUT_BACK, {"part": part, "ids": array(row.id for row in some), "due_in": due_in})
        for (mailing_id, status), count in Counter((row.mailing_id, row.status) for row in some).items():
            entries.moved(mailing_id, MessageState(status), MessageState.PENDING, count, due_in=due_in)


def _locking(job: str, may_be_sent: str) -> TextClause:
    return text(f"""
        select m.id, m.mailing_id, m.status, c.timezone, {IS_SUPPRESSED} as is_suppressed,
               {IS_ADDRESSED} as is_addressed {job}
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


def _claimed(mailings: Mapping[int, AnyRow], rows: Sequence[AnyRow]) -> Iterator[Claimed]:
    known = {}
    for mailing_id, mailing in mailings.items():
        known[mailing_id] = (
            mailing.part, mailing.claim_id, mailing.text, mailing.ends_at, window_of(mailing), mailing.sender,
        )  # fmt: skip
    now = next(iter(mailings.values())).now
    for (
        message_id, mailing_id, _, client_id, calls, attempts, maybe_delivered, first, last, phone, timezone, provider,
    ) in rows:  # fmt: skip
        part, claim_id, text, ends_at, window, sender = known[mailing_id]
        deadline = ends_at if window is None else min(ends_at, hours_of(window, timezone).at(now)[1])
        yield Claimed(  # in the order of its fields: by their names it takes twice as long
            message_id, mailing_id, part, client_id, claim_id, phone, text, calls, attempts, ends_at, deadline,
            maybe_delivered, first, last, sender, provider,
        )  # fmt: skip
