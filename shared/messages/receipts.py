"""What providers say later of messages: taken where the message is final, kept until it is.

A receipt changes no message and locks none, so it stands in the way of neither a claim nor a result. It is counted when
its message is final, and once. Receipts are written part by part, in each in the order of the messages' ids; then those
that are kept, in an order of their own; last they are entered in the ledger. So two transactions that take receipts
never wait for each other in a circle. One that settles kept receipts begins with these, so it and one that takes may:
then PostgreSQL ends one of the two, and the leader settles again, or the provider, who gets an error, sends again.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, TextClause, text

from shared.domain.apart import BUILT_IN
from shared.domain.message import MessageState
from shared.domain.receipt import AHEAD, BACK, Receipt, ReceiptState, combined, counted_as
from shared.domain.state_sql import IS_FINAL
from shared.ledger.entries import Entries
from shared.messages.find import of_kind
from shared.messages.fragments import AnyRow, array
from shared.messages.references import find_references

MOST_NOBODYS = 20_000
"""Receipts by references that nobody knows yet, kept at a time. What comes beyond that is not kept."""

PATIENCE = timedelta(hours=1)
"""How long they are kept. A result is written within moments of the call, or never."""

SLICE = 1_000
"""Kept receipts that one transaction looks at."""


@dataclass(slots=True)
class Taken:
    """What became of receipts.

    states: those that stand now, by what they say. repeated: that say nothing new. contradicted: about messages that we
    certainly did not deliver. early: ids of messages that are not final yet; the receipts are kept. unknown: ids and
    references of which there is no message; the latter are kept for a while.
    """

    states: Counter[ReceiptState] = field(default_factory=Counter)
    repeated: int = 0
    contradicted: int = 0
    early: set[int] = field(default_factory=set)
    unknown: set[int | str] = field(default_factory=set)


def take_receipts(connection: Connection, entries: Entries, provider: str, receipts: Iterable[Receipt]) -> Taken:
    """Takes receipts of a provider. To do it again changes nothing, and their order does not matter.

    provider: by its name; a reference is what it alone calls a message. What the built-in one says is about tests, and
    nobody else says anything of these.
    """
    of_messages, nobodys = _found(connection, provider, receipts)
    taken = _take(connection, entries, provider, of_messages)
    if taken.early:
        _keep(connection, _KEEP_BY_ID, provider, [of_messages[message_id] for message_id in sorted(taken.early)])
    if nobodys:
        _keep(connection, _KEEP_BY_REFERENCE, provider, [nobodys[reference] for reference in sorted(nobodys)])
        taken.unknown |= nobodys.keys()
    return taken


def _found(
    connection: Connection, provider: str, receipts: Iterable[Receipt]
) -> tuple[dict[int, Receipt], dict[str, Receipt]]:
    """The one that stands for each message, by its id; and those by a reference that nobody knows."""
    of_messages = [receipt for receipt in receipts if receipt.message_id is not None]
    by_reference = {receipt.reference: receipt for receipt in combined(receipts) if receipt.message_id is None}
    nobodys = {reference: receipt for reference, receipt in by_reference.items() if reference is not None}
    for reference, message_id in find_references(connection, provider, nobodys).items():
        of_messages.append(nobodys.pop(reference)._replace(message_id=message_id))
    return {receipt.message_id or 0: receipt for receipt in combined(of_messages)}, nobodys


def _take(connection: Connection, entries: Entries, provider: str, receipts: Mapping[int, Receipt]) -> Taken:
    taken = Taken(unknown=set(receipts))
    for part, ids in _parts_of(connection, receipts).items():
        job = {**_job(part, [receipts[message_id] for message_id in ids]), "test": provider == BUILT_IN}
        for row in connection.execute(_TAKE, job):
            if row.found is None:
                _enter(entries, taken, row)
            else:
                taken.unknown.difference_update(row.found)
                taken.early.update(row.unfinished or ())
    finished = len(receipts) - len(taken.unknown) - len(taken.early)
    taken.repeated = finished - taken.states.total()
    return taken


def _enter(entries: Entries, taken: Taken, row: AnyRow) -> None:
    status, state = MessageState(row.status), ReceiptState(row.state)
    previous = None if row.previous is None else ReceiptState(row.previous)
    entries.received(row.mailing_id, status, previous, state, row.number)
    taken.states[state] += row.number
    if counted_as(status, ReceiptState.DELIVERED) is None:
        taken.contradicted += row.number


def _parts_of(connection: Connection, message_ids: Collection[int]) -> Mapping[int, Sequence[int]]:
    """Where these messages may be; one that is in no mailing's range is left out."""
    if not message_ids:
        return {}
    rows = connection.execute(_PARTS, {"ids": array(sorted(message_ids))})
    return {row.part: sorted(row.ids) for row in rows}


# The mailings tell, as in `shared.messages.find`.
_PARTS = text("""
    select part, array_agg(distinct job.id) as ids from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (
        select part from mailings
        where int8range(first_message_id, last_message_id, '[]') @> job.id and first_message_id is not null
    ) g
    group by part order by part
""")


def _job(part: int, receipts: Sequence[Receipt]) -> dict[str, object]:
    return {
        "part": part,
        "ids": array(receipt.message_id or "null" for receipt in receipts),
        "states": array(receipt.state for receipt in receipts),
        "moments": array(receipt.at.isoformat() if receipt.at else "null" for receipt in receipts),
        "reasons": [receipt.reason for receipt in receipts],
    }


_RECEIPTS = """unnest(cast(:ids as bigint[]), cast(:states as receipt_state[]), cast(:moments as timestamptz[]),
                    cast(:reasons as text[]))"""

# A provider's clock may be anywhere. Of a client who was erased nothing is kept that it says in words.
_TAKE = text(f"""
    with job as materialized (
        select job.id, job.state, job.reason, m.mailing_id, m.status, m.phone,
               case when job.at between now() - interval '{BACK.days} days' and now() + interval '{AHEAD.days} days'
                    then job.at else now() end as at
        from {_RECEIPTS} as job (id, state, at, reason)
        cross join lateral (
            select mailing_id, status, phone from messages where part = :part and id = job.id limit 1) m
        where {of_kind("m.mailing_id")}
    ), taken as (
        insert into receipts as r (message_id, part, mailing_id, status, state, at, reason)
        select id, :part, mailing_id, status, state, at, case when phone is not null then reason end
        from job where {IS_FINAL} order by id
        on conflict (message_id, part) do update
        set previous = r.state, state = excluded.state, at = excluded.at, reason = excluded.reason
        where excluded.state > r.state
        returning mailing_id, status, previous, state
    )
    select mailing_id, status, previous, state, count(*) as number,
           cast(null as bigint[]) as found, cast(null as bigint[]) as unfinished
    from taken group by mailing_id, status, previous, state
    union all
    select null, null, null, null, null, array_agg(id), array_agg(id) filter (where not {IS_FINAL})
    from job having count(*) > 0
""")


def _keep(connection: Connection, statement: TextClause, provider: str, receipts: Sequence[Receipt]) -> None:
    references = [receipt.reference for receipt in receipts]
    connection.execute(statement, {**_job(0, receipts), "provider": provider, "references": references})


_STANDS = """
    do update set state = excluded.state, at = excluded.at, reason = excluded.reason where excluded.state > w.state
"""
_KEEP_BY_ID = text(f"""
    insert into waiting_receipts as w (provider, message_id, state, at, reason)
    select :provider, id, state, coalesce(at, now()), reason from {_RECEIPTS} as job (id, state, at, reason) order by id
    on conflict (message_id) where message_id is not null {_STANDS}
""")

# Whoever sends receipts of messages that are not ours fills no disk with them.
_KEEP_BY_REFERENCE = text(f"""
    insert into waiting_receipts as w (provider, reference, state, at, reason)
    select :provider, reference, state, coalesce(at, now()), reason
    from unnest(cast(:references as text[]), cast(:states as receipt_state[]), cast(:moments as timestamptz[]),
                cast(:reasons as text[])) as job (reference, state, at, reason)
    where {MOST_NOBODYS} > (
        select count(*) from (select from waiting_receipts where reference is not null limit {MOST_NOBODYS}) kept)
    order by reference
    on conflict (reference, provider) where reference is not null {_STANDS}
""")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of kept receipts. last: of those that were looked at; None: there are no more behind it. taken: as
    they were at last. forgotten: those of which nobody has ever known the message."""

    last: int | None
    taken: Taken
    forgotten: int = 0


def settle_receipts(connection: Connection, entries: Entries, after: int = 0) -> Settled:
    """Takes the kept receipts whose message has become final, or known, of a slice behind the id `after`.

    One that is still early stays. What somebody else looks at is left out.
    """
    rows = connection.execute(_KEPT, {"after": after, "slice": SLICE, "patience": PATIENCE}).all()
    by_provider: dict[str, list[AnyRow]] = defaultdict(list)
    for row in rows:
        by_provider[row.provider].append(row)
    whole, done, forgotten = Taken(), [], 0
    for provider, some in sorted(by_provider.items()):
        receipts = [Receipt(ReceiptState(row.state), row.message_id, row.reference, row.reason, row.at) for row in some]
        of_messages, nobodys = _found(connection, provider, receipts)
        taken = _take(connection, entries, provider, of_messages)
        _keep_named(connection, provider, of_messages, taken)
        whole.states += taken.states
        whole.contradicted += taken.contradicted
        for row in some:
            is_late = row.is_old and row.reference in nobodys
            forgotten += is_late
            if is_late or (row.message_id not in taken.early and row.reference not in nobodys):
                done.append(row.id)
    if done:
        connection.execute(_FORGET, {"ids": array(done)})
    return Settled(rows[-1].id if len(rows) == SLICE else None, whole, forgotten)


def _keep_named(connection: Connection, provider: str, receipts: Mapping[int, Receipt], taken: Taken) -> None:
    """Those by a reference that is known by now, and whose message is called for again: by their id from now on."""
    named = [receipts[message_id] for message_id in sorted(taken.early) if receipts[message_id].reference is not None]
    if named:
        _keep(connection, _KEEP_BY_ID, provider, named)


_KEPT = text("""
    select id, provider, message_id, reference, state, at, reason, came_at < now() - :patience as is_old
    from waiting_receipts where id > :after order by id limit :slice for update skip locked
""")
_FORGET = text("delete from waiting_receipts where id = any(cast(:ids as bigint[]))")


def find_receipts(connection: Connection, part: int, message_ids: Iterable[int]) -> Mapping[int, AnyRow]:
    """As (message_id, state, at, reason), by the message's id; those without one are left out."""
    rows = connection.execute(_FIND, {"part": part, "ids": array(message_ids)})
    return {row.message_id: row for row in rows}


_FIND = text("""
    select r.* from unnest(cast(:ids as bigint[])) as job (id) cross join lateral (
        select message_id, state, at, reason from receipts where part = :part and message_id = job.id limit 1) r
""")


def find_early_receipt(connection: Connection, message_id: int) -> AnyRow | None:
    """The same of a message that is still open."""
    return connection.execute(_FIND_EARLY, {"id": message_id}).one_or_none()


_FIND_EARLY = text("select message_id, state, at, reason from waiting_receipts where message_id = :id")
