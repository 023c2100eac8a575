"""A dispatcher takes messages that it alone may send, until a lease runs out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.gates.order import PASSES
from shared.domain.gates.window import window_of
from shared.domain.hours import hours_of
from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.messages.fragments import (
    CLAIMED,
    CLAIMED_AS_ASSIGNED,
    IS_ADDRESSED,
    JOB,
    JOB_AS_ASSIGNED,
    MAY_BE_SENT,
    MAY_BE_SENT_AS_ASSIGNED,
    AnyRow,
    array,
)
from shared.messages.personal import move_personal
from shared.messages.stop import stop_messages


class Claimed(NamedTuple):
    """A message that this dispatcher alone may send, until its lease runs out.

    phone: where every repeat goes, too. calls: those made before. attempts: those of them that are spent. ends_at: the
    mailing's end. deadline: nothing is handed over from this moment on; the end, or the closing of the client's window.
    repeat: the provider may have taken an earlier call. first_called_at, last_called_at: when the first and the last of
    the calls had ended. sender: the mailing's; None: it names none. test: it is of a test, and must not leave the
    process. is_personal: its text was made for its client, and stands in its row. provider: through whom it is to go,
    by number; 0: there is only one.
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
    test: bool = False
    is_personal: bool = False
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
    """Decides about messages, by mailing: those that may be sent now are taken, those without a client cancelled, and
    those that a gate stops skipped or put off (`shared.domain.gates`).

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
        job = _job(connection, group, ids, assigned)
        if group[0].personal:
            rows, texts = move_personal(connection, entries, group, {**job, "lease": lease})
        else:
            statement = _MOVE_TO_SENDING if assigned is None else _MOVE_AS_ASSIGNED
            rows, texts = connection.execute(statement, {**job, "lease": lease}).all(), _NO_TEXTS
        if len(rows) < len(ids):
            stop_messages(connection, entries, group, job)
        _enter(entries, rows)
        claimed += _claimed({mailing.id: mailing for mailing in group}, rows, texts)
    return Claim(now, claimed)


# `claims` gives every claim a number of its own, the fencing token: a result is recorded only while the row carries it.
_MAILINGS = text("""
    select id, part, text, personal, sender, test, ends_at, window_from, window_until, now() as now,
           part is not null and paused_at is null and cancelled_at is null and ends_at > now() as is_running,
           (select nextval('claims')) as claim_id
    from mailings where id = any(:mailing_ids) order by id
""")


def _groups(mailings: Iterable[AnyRow]) -> Iterator[Sequence[AnyRow]]:
    """Mailings that run and of which one statement takes the messages: those of a part, unless they have windows; those
    with personal texts by themselves."""
    together: dict[tuple[int, bool], list[AnyRow]] = defaultdict(list)
    for mailing in mailings:
        if mailing.is_running and window_of(mailing):
            yield [mailing]
        elif mailing.is_running:
            together[mailing.part, mailing.personal].append(mailing)
    yield from together.values()


def _job(
    connection: Connection,
    group: Sequence[AnyRow],
    message_ids: Sequence[int],
    assigned: Mapping[int, Assigned] | None,
) -> dict[str, object]:
    """What the statements of a claim have in common."""
    mailing, mailing_ids = group[0], array(mailing.id for mailing in group)
    job = {"part": mailing.part, "mailing_ids": mailing_ids, "ids": array(message_ids), "claim_id": mailing.claim_id}
    window, zones = window_of(mailing), None
    if window is not None:
        zones = connection.scalars(_ZONES, job).all()
        zones = [zone for zone in zones if hours_of(window, zone).at(mailing.now)[0]]
    if assigned is not None:
        job["lanes"] = array(assigned[message_id].lane for message_id in message_ids)
        job["providers"] = array(assigned[message_id].provider for message_id in message_ids)
    return {**job, "zones": zones}


def _moving(columns: str, job: str, may_be_sent: str, then: str) -> TextClause:
    return text(f"""
        with job as materialized (
            select {columns} {job}
            where {may_be_sent} and c.timezone is not null and {PASSES} and {IS_ADDRESSED}
        ), moved as (
            update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease {then}
        )
        select * from job
    """)


_MOVE_TO_SENDING = _moving(CLAIMED, JOB, MAY_BE_SENT, "where part = :part and id = any(array(select id from job))")
_MOVE_AS_ASSIGNED = _moving(
    CLAIMED_AS_ASSIGNED,
    JOB_AS_ASSIGNED,
    MAY_BE_SENT_AS_ASSIGNED,
    ", provider = job.provider from job where m.part = :part and m.id = job.id",
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


_NO_TEXTS: Mapping[int, str] = {}
_COLUMNS = CLAIMED.count(",") + 1


def _claimed(mailings: Mapping[int, AnyRow], rows: Sequence[AnyRow], texts: Mapping[int, str]) -> Iterator[Claimed]:
    """texts: of personal ones, by message."""
    known = {}
    for mailing_id, mailing in mailings.items():
        known[mailing_id] = (
            *(mailing.part, mailing.claim_id, mailing.text, mailing.ends_at),
            *(window_of(mailing), mailing.sender, mailing.test),
        )
    now = next(iter(mailings.values())).now
    read = [row[:_COLUMNS] for row in rows] if texts else rows
    for (
        message_id, mailing_id, _, client_id, calls, attempts, maybe_delivered, first, last, phone, timezone, provider,
    ) in read:  # fmt: skip
        part, claim_id, text, ends_at, window, sender, test = known[mailing_id]
        if texts:
            text = texts[message_id]
        deadline = ends_at if window is None else min(ends_at, hours_of(window, timezone).at(now)[1])
        yield Claimed(  # in the order of its fields: by their names it takes twice as long
            message_id, mailing_id, part, client_id, claim_id, phone, text, calls, attempts, ends_at, deadline,
            maybe_delivered, first, last, sender, test, bool(texts), provider,
        )  # fmt: skip
