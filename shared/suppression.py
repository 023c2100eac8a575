"""Phones that must not be written to, as clients are flagged by them.

Whoever writes a client compares the phone with the list; whoever writes the list looks for the client. Neither may miss
the other, who has not committed yet: the ones hold the list still for the length of their transaction, before they
lock anything else, and the others have it for themselves.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

_LOCK = 0x636F6E73  # "cons"

HOLD = f"select pg_advisory_xact_lock_shared({_LOCK})"
"""A statement of its own, since what comes after it has to see what was committed while it waited."""

KEYS_ARE_KNOWN = "not exists (select from suppression_keys where mark <> all(cast(:marks as bytea[])))"
"""A condition: whoever asks has every key that rows were made with, and so would find a phone if it was there."""


def read_marks(connection: Connection) -> Mapping[int, bytes]:
    """By version, the marks of the keys that rows were made with."""
    return {row.version: bytes(row.mark) for row in connection.execute(_MARKS)}


_MARKS = text("select version, mark from suppression_keys")


def hold(connection: Connection) -> None:
    """Until the end of the transaction nobody is suppressed."""
    connection.execute(_HOLD)


def hold_alone(connection: Connection) -> None:
    """Until the end of the transaction nobody else writes a client's phone, or the list."""
    connection.execute(_HOLD_ALONE)


_HOLD = text(HOLD)
_HOLD_ALONE = text(f"select pg_advisory_xact_lock({_LOCK})")


def flag(connection: Connection, suppressions: Mapping[int, int]) -> Sequence[int]:
    """Flags the clients who have these phones; the ids of those who were not flagged so. suppressions: ids by phone."""
    if not suppressions:
        return []
    connection.execute(_ROW_BY_ROW)
    given = {"phones": list(suppressions), "ids": list(suppressions.values())}
    connection.execute(_FLAG_FORMER, given)
    return connection.scalars(_FLAG, given).all()


# Until a table is analysed the planner takes a million clients for a few, and reads all of them.
_ROW_BY_ROW = text("select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)")
_FLAG = text("""
    update clients c set suppression_id = given.id
    from unnest(cast(:phones as bigint[]), cast(:ids as bigint[])) as given (phone, id)
    where c.phone = given.phone and c.suppression_id is distinct from given.id
    returning c.id
""")


# Of who had the phone before, nothing but what was called under it is meant.
_FLAG_FORMER = text("""
    update former_phones f set suppression_id = given.id
    from unnest(cast(:phones as bigint[]), cast(:ids as bigint[])) as given (phone, id)
    where f.phone = given.phone
""")


def remember_phone(connection: Connection, client_id: int, old: int, new: int, suppression_id: int | None) -> None:
    """A client has another phone. suppression_id: of the old one, under which messages may have been called."""
    connection.execute(_REMEMBER, {"client_id": client_id, "phone": old, "suppression_id": suppression_id})
    connection.execute(_HAVE_AGAIN, {"client_id": client_id, "phone": new})


_REMEMBER = text("""
    insert into former_phones as f (client_id, phone, suppression_id) values (:client_id, :phone, :suppression_id)
    on conflict (client_id, phone) do update set suppression_id = excluded.suppression_id, until = now()
""")
_HAVE_AGAIN = text("delete from former_phones where client_id = :client_id and phone = :phone")


def forget_phones(connection: Connection, client_id: int) -> None:
    """Of a client who is deleted."""
    connection.execute(_FORGET_PHONES, {"client_id": client_id})


_FORGET_PHONES = text("delete from former_phones where client_id = :client_id")


def unflag(connection: Connection, suppression_id: int) -> None:
    for statement in (_UNFLAG, _UNFLAG_FORMER):
        connection.execute(statement, {"id": suppression_id})


_UNFLAG = text("update clients set suppression_id = null where suppression_id = :id")
_UNFLAG_FORMER = text("update former_phones set suppression_id = null where suppression_id = :id")

AGAIN_AFTER = 15
"""Seconds after which a suppression is applied the second time."""


class Again(NamedTuple):
    """number: suppressions that were applied the second time. late: clients who were flagged only by that."""

    number: int
    late: Sequence[int]


def apply_again(connection: Connection, limit: int) -> Again:
    """The next suppressions whose second time has come; their phones are forgotten then.

    It finds nobody, unless a client was written meanwhile by who does not know of the list, as a process of an older
    version does not.
    """
    found = connection.execute(_AGAIN, {"after": AGAIN_AFTER, "limit": limit}).all()
    if not found:
        return Again(0, ())
    late = flag(connection, {row.phone: row.id for row in found})
    connection.execute(_FORGET, {"ids": [row.id for row in found]})
    return Again(len(found), late)


_AGAIN = text("""
    select id, phone from suppressions
    where phone is not null and since <= now() - :after * interval '1 second'
    order by id limit :limit for update skip locked
""")
_FORGET = text("update suppressions set phone = null where id = any(:ids)")
