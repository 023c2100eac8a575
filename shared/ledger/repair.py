"""Mends a ledger that does not say what the rows say. The rows are the truth.

Nobody has to stop for it. Whatever moves messages changes rows and counters by the same numbers in one transaction, so
the difference between them, seen in one snapshot, is still the difference when it is taken off the counters. Two
repairs at a time would take it off twice: `lock` keeps a second one out.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, text

from shared.database.engine import try_lock
from shared.domain.message import MessageState
from shared.domain.receipt import RECEIPTS
from shared.domain.state_sql import total
from shared.ledger.check import AUDIENCE, Account, read_accounts, snapshot
from shared.ledger.findings import drop_finding
from shared.ledger.names import QUARTER, STATES

_LOCK = 0x6C656467  # "ledg"
_SLOT = 0
_PAGE = 100


def lock(connection: Connection) -> bool:
    """Whether this session alone may repair, as long as it lives."""
    with connection.begin():
        return try_lock(connection, _LOCK)


def find_accounts(connection: Connection, mailing_ids: Sequence[int] | None = None) -> Iterator[Account]:
    """The accounts of these mailings.

    None: of all that have begun and are not finished, of those that are finished and whose counters do not even add up
    to their audience, and of those of which receipts came within a week. Where messages are removed, the counters are
    all there is: such a mailing is left out.
    """
    if mailing_ids is None:
        with connection.begin():
            mailing_ids = connection.scalars(_TO_BE_LOOKED_AT).all()
    for start in range(0, len(mailing_ids), _PAGE):
        with snapshot(connection):
            with_rows = connection.scalars(_WITH_ROWS, {"ids": list(mailing_ids[start : start + _PAGE])}).all()
            accounts = read_accounts(connection, with_rows)
        yield from accounts


_TO_BE_LOOKED_AT = text(f"""
    select id from mailings m
    where finished_at is null and audience_limit is not null or audience <> (
        select coalesce(sum({total(MessageState, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
    or exists (select from receipt_counters r where r.mailing_id = m.id and r.moved_at > now() - interval '7 days')
    order by id
""")
_WITH_ROWS = text("select id from mailings where id = any(:ids) and messages_removed_at is null order by id")


def mend(connection: Connection, account: Account) -> None:
    """Takes the difference off the counters and the audience. The caller holds the lock since before the account.

    Messages that were removed since are no difference: nothing is changed then.
    """
    more = account.difference
    with connection.begin():
        if connection.scalar(_LOCK_ROWS, {"mailing_id": account.mailing_id}) is None:
            return
        row = {"mailing_id": account.mailing_id, "slot": _SLOT}
        connection.execute(_MEND_COUNTERS, row | _taken_off(more, STATES))
        if more.keys() & set(RECEIPTS):
            connection.execute(_MEND_RECEIPTS, row | _taken_off(more, RECEIPTS))
        if AUDIENCE in more:
            connection.execute(_MEND_AUDIENCE, {"mailing_id": account.mailing_id, "more": more[AUDIENCE]})
        drop_finding(connection, account.mailing_id)


# Whoever gives up the messages locks the mailing as well, and only then removes them.
_LOCK_ROWS = text("select id from mailings where id = :mailing_id and messages_removed_at is null for share")


def _taken_off(more: dict[str, int], names: Sequence[str]) -> dict[str, int]:
    return {name: -more.get(name, 0) for name in names}


_MEND_COUNTERS = text(f"""
    insert into mailing_counters as c (mailing_id, slot, {", ".join(STATES)})
    values (:mailing_id, :slot, {", ".join(f":{name}" for name in STATES)})
    on conflict (mailing_id, slot) do update set {", ".join(f"{name} = c.{name} + excluded.{name}" for name in STATES)}
""")
_MEND_RECEIPTS = text(f"""
    insert into receipt_counters as c (mailing_id, slot, moved_at, {", ".join(RECEIPTS)})
    select :mailing_id, :slot, {QUARTER}, {", ".join(f":{name}" for name in RECEIPTS)}
    from (select now() as moment) clock
    on conflict (mailing_id, slot) do update
    set {", ".join(f"{name} = c.{name} + excluded.{name}" for name in RECEIPTS)}
""")
_MEND_AUDIENCE = text("update mailings set audience = audience - :more where id = :mailing_id")
