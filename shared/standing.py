"""Where mailings stand with the provider: unproven, refused by all, held back.

Until the first acceptance of a mailing nobody knows whether the provider takes it at all: it may have few calls open at
a time, and enough refusals halt it. So an account that is closed costs a mailing some seventy messages, not all of
them. A mailing whose calls come to nothing while others are served is held back alone.

All of it stands in a row beside the mailing's, which is there once something is known, and goes with the mailing's
end; the calls that are open stand in its counters. So nothing is lost with a dispatcher. Whoever writes here has the
mailing's turn for as long as their transaction lasts, and nobody waits for one: neither for that of another dispatcher,
nor for the mailing's own row, which a launch holds most of the time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.domain.message import Error
from shared.domain.standing import MOST_OPEN, REFUSALS
from shared.ledger.names import ERROR_PREFIX

FIRST_HOLD, LONGEST_HOLD = 2.0, 300.0
"""Seconds that a mailing is held back; doubled every time until it is served."""


class Refused(NamedTuple):
    """How many messages of a mailing are refused in this transaction, which may be none, and the words that came with
    the last."""

    mailing_id: int
    number: int
    words: str


class Halt(NamedTuple):
    """A mailing that is to be halted, and the provider's words, unless they are lost with a dispatcher."""

    mailing_id: int
    words: str | None


class Room(NamedTuple):
    """What may be claimed of mailings. some: of these no more than so many messages. none: of these nothing, until they
    are fed again."""

    some: Mapping[int, int]
    none: Collection[int]


def take_turns(connection: Connection, mailing_ids: Collection[int]) -> set[int]:
    """The mailings that nobody else writes about until the end of this transaction."""
    if not mailing_ids:
        return set()
    return set(connection.scalars(_TURNS, {"mailing_ids": sorted(mailing_ids)}))


_TURNS = text("""
    select id from unnest(cast(:mailing_ids as bigint[])) as asked (id)
    where pg_try_advisory_xact_lock(hashtext('standing'), hashint8(id))
""")


def prove(connection: Connection, mailing_ids: Collection[int]) -> Sequence[int]:
    """A message of each was accepted; those that were held back until now."""
    return connection.scalars(_PROVE, {"mailing_ids": sorted(mailing_ids)}).all()


_PROVE = text("""
    with before as materialized (select * from mailing_standings where mailing_id = any(:mailing_ids)),
    proven as (
        insert into mailing_standings as s (mailing_id, proven_at)
        select id, now() from unnest(cast(:mailing_ids as bigint[])) as accepted (id)
        where id not in (select mailing_id from before where proven_at is not null and holds = 0)
        on conflict (mailing_id) do update
        set proven_at = coalesce(s.proven_at, excluded.proven_at), holds = 0, held_until = null
    )
    select mailing_id from before where holds > 0
""")


def count_refusals(connection: Connection, refused: Sequence[Refused]) -> None:
    """Of mailings of which nothing was accepted yet; of others it changes nothing.

    What was refused before is known from the tallies, as most of it was recorded when it was somebody else's turn.
    """
    ids, numbers, words = zip(*sorted(refused), strict=True)
    connection.execute(_REFUSE, {"mailing_ids": list(ids), "numbers": list(numbers), "words": list(words)})


_TALLIED = f"""(
    select cast(coalesce(sum(count), 0) as integer) from tallies
    where mailing_id = refused.id and name = '{ERROR_PREFIX}{Error.REJECTED}'
)"""

_REFUSE = text(f"""
    insert into mailing_standings as s (mailing_id, words, refusals)
    select id, words, number + greatest(
        {_TALLIED}, (select refusals from mailing_standings where mailing_id = refused.id))
    from unnest(cast(:mailing_ids as bigint[]), cast(:numbers as integer[]), cast(:words as text[]))
        as refused (id, number, words)
    on conflict (mailing_id) do update set refusals = excluded.refusals, words = excluded.words
    where s.proven_at is null
""")


def hold(connection: Connection, mailing_ids: Collection[int]) -> Mapping[int, float]:
    """Holds these back, unless they are already; for how many seconds."""
    held = {"mailing_ids": sorted(mailing_ids), "first": FIRST_HOLD, "longest": LONGEST_HOLD}
    return {row.mailing_id: row.seconds for row in connection.execute(_HOLD, held)}


_HOLD = text("""
    insert into mailing_standings as s (mailing_id, holds, held_until)
    select id, 1, now() + :first * interval '1 second' from unnest(cast(:mailing_ids as bigint[])) as stuck (id)
    on conflict (mailing_id) do update set holds = least(s.holds + 1, 30),
        held_until = now() + least(:first * power(2, s.holds), :longest) * interval '1 second'
    where coalesce(s.held_until <= now(), true)
    returning s.mailing_id, cast(extract(epoch from s.held_until - now()) as float) as seconds
""")


class Asked(NamedTuple):
    """Of mailings that somebody is about to claim. trusted: any number may be claimed of these; a message was accepted,
    and they are not held back. ours: of the others, those whose turn this transaction has."""

    trusted: set[int]
    ours: set[int]


def ask(connection: Connection, mailing_ids: Collection[int]) -> Asked:
    """Takes the turns of those that are not trusted."""
    rows = connection.execute(_ASK, {"mailing_ids": sorted(mailing_ids)}).all()
    return Asked({row.id for row in rows if row.is_trusted}, {row.id for row in rows if row.is_ours})


_ASK = text("""
    with asked as materialized (
        select id, coalesce((
            select proven_at is not null and holds = 0 from mailing_standings where mailing_id = id
        ), false) as is_trusted
        from unnest(cast(:mailing_ids as bigint[])) as asked (id)
    )
    select id, is_trusted,
           case when not is_trusted then pg_try_advisory_xact_lock(hashtext('standing'), hashint8(id)) end as is_ours
    from asked
""")


def room(connection: Connection, mailing_ids: Collection[int]) -> Room:
    """Of mailings that are not trusted, and whose turn this transaction has: what others have claimed of them by then
    is committed, and so is seen.

    A call that was refused is open no more, so it must be counted by the time that its place is given away: calls and
    refusals are looked at as of one moment.
    """
    rows = connection.execute(_ROOM, {"mailing_ids": sorted(mailing_ids)}).all()
    blocked = {row.id for row in rows if row.is_blocked}
    return Room({row.id: max(0, MOST_OPEN - row.open_calls) for row in rows if row.id not in blocked}, blocked)


def is_blocked(mailing: str) -> str:
    """A condition of SQL: nothing of this mailing is to be called now, since it is held back or about to be halted.

    After a halt the refusals count no more.
    """
    # Not `exists`, which where many are asked for reads all that there are.
    return f"""coalesce((
        select s.held_until > now()
            or s.proven_at is null and s.refusals >= {REFUSALS} and {mailing}.halted_at is null
        from mailing_standings s where s.mailing_id = {mailing}.id), false)"""


# With the count of those refusals that others have recorded.
_ROOM = text(f"""
    with refused as (
        select id, {_TALLIED} as number from mailings refused where id = any(:mailing_ids) and halted_at is null
    ), counted as (
        insert into mailing_standings as s (mailing_id, refusals) select id, number from refused where number > 0
        on conflict (mailing_id) do update set refusals = excluded.refusals
        where s.proven_at is null and s.refusals < excluded.refusals
        returning mailing_id, refusals
    )
    select m.id, coalesce(counted.refusals >= {REFUSALS}, false) or {is_blocked("m")} as is_blocked, (
        select cast(coalesce(sum(sending), 0) as bigint) from mailing_counters where mailing_id = m.id) as open_calls
    from mailings m left join counted on counted.mailing_id = m.id where m.id = any(:mailing_ids)
""")


def held_until(mailing: str) -> str:
    """An expression of SQL: until when this mailing is held back; null where it is not."""
    return f"(select s.held_until from mailing_standings s where s.mailing_id = {mailing}.id)"


def find_refused(connection: Connection, limit: int) -> Sequence[Halt]:
    """Mailings that are to be halted."""
    return [Halt(row.id, row.words) for row in connection.execute(_REFUSED, {"limit": limit})]


_REFUSED = text(f"""
    select m.id, s.words from mailing_standings s
    cross join lateral (
        select id from mailings where id = s.mailing_id and halted_at is null and paused_at is null
          and cancelled_at is null and finished_at is null limit 1) m
    where s.proven_at is null and s.refusals >= {REFUSALS} order by s.mailing_id limit :limit
""")


def halt(connection: Connection, halted: Halt) -> bool:
    """Pauses the mailing; whether it did. It happens to a mailing once. `paused_at` is the same moment for as long as
    nobody has resumed it."""
    return connection.execute(_HALT, halted._asdict()).rowcount > 0


_HALT = text("""
    update mailings set paused_at = now(), halted_at = now(), provider_words = :words
    where id = :mailing_id and halted_at is null and paused_at is null and cancelled_at is null and finished_at is null
""")


def forget(connection: Connection, mailing_ids: Collection[int]) -> None:
    """The mailings are finished."""
    connection.execute(_FORGET, {"mailing_ids": sorted(mailing_ids)})


_FORGET = text("delete from mailing_standings where mailing_id = any(:mailing_ids)")


def provider_returned(connection: Connection) -> None:
    """A dispatcher has seen the provider serve again after an outage. Who has the row says the same."""
    connection.execute(_RETURNED)


_RETURNED = text("""
    update provider_returns set returned_at = now()
    where lane in (select lane from provider_returns where lane = 0 for update skip locked)
""")
