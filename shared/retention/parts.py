"""Parts in time: made ahead, closed when they are full, and given up when nothing in them is to be kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from shared.audience.named import NAMED_MAILINGS
from shared.database.parts import TABLES, complete_parts, lacks_tables, make_part, table_of
from shared.domain.retention import Part, is_full
from shared.ledger.fold import fold_tallies

AHEAD = 1
"""Parts that are ready beside the one that is launched into, so that it can be closed at any time."""

SLICE = 200
"""Mailings that one transaction gives up."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was done: parts that were made and closed. completed: tables that were missing."""

    made: Sequence[int] = ()
    closed: Sequence[int] = ()
    completed: Sequence[str] = ()


def turn(connection: Connection) -> Turn:
    """Closes the part that is launched into if it is full, and makes one ahead where there is none.

    In the caller's transaction. Whoever else does it at the same time waits, and finds nothing to do.
    """
    if not _is_wanted(connection):
        return Turn()
    connection.execute(_IN_TURN)
    completed = complete_parts(connection)
    open_parts = list(connection.scalars(_OPEN))
    made = [make_part(connection) for _ in range(1 + AHEAD - len(open_parts))]
    open_parts += made
    closed = []
    if len(open_parts) > AHEAD and _is_full(connection, open_parts[0]):
        connection.execute(_CLOSE, {"number": open_parts[0]})
        closed.append(open_parts[0])
        made += [make_part(connection)]
    return Turn(made, closed, completed)


def _is_wanted(connection: Connection) -> bool:
    """Asked without a lock, since mostly there is nothing to do."""
    open_parts = connection.scalars(_OPEN).all()
    return len(open_parts) <= AHEAD or _is_full(connection, open_parts[0]) or lacks_tables(connection)


def _is_full(connection: Connection, number: int) -> bool:
    row = connection.execute(_FILLED, {"number": number}).one()
    return is_full(row.messages, row.lasted)


_IN_TURN = text("lock table parts in share row exclusive mode")
_OPEN = text("select number from parts where closed_at is null order by number")
_CLOSE = text("update parts set closed_at = now() where number = :number")

# Ids are given in order: the first and the last one say how many messages there may be, without a look at them, and to
# whom the first belongs since when the part has any.
_FILLED = text("""
    select coalesce(last.id - first.id + 1, 0) as messages, coalesce(now() - g.launched_at, interval '0') as lasted
    from (select 1) one
    left join lateral (select id, mailing_id from messages where part = :number order by id limit 1) first on true
    left join lateral (select id from messages where part = :number order by id desc limit 1) last on true
    left join lateral (select launched_at from mailings where id = first.mailing_id limit 1) g on true
""")


def read_parts(connection: Connection) -> tuple[Sequence[Part], datetime]:
    """Every part, and the moment that this is about."""
    parts = [Part(*row) for row in connection.execute(_PARTS)]
    return parts, connection.execute(_NOW).scalar_one()


# In the index the mailings of a part stand in the order in which they finished, and behind them those that have not.
_PARTS = text(f"""
    with named (id) as materialized ({NAMED_MAILINGS})
    select p.number, p.closed_at, coalesce(unfinished.id, held.id) is not null as is_running,
           first.finished_at as first_finished_at, last.finished_at as last_finished_at
    from parts p
    left join lateral (
        select id from mailings where part = p.number and messages_removed_at is null and finished_at is null
        limit 1) unfinished on true
    left join lateral (
        select id from mailings
        where id = any(array(select id from named)) and part = p.number and messages_removed_at is null
        limit 1) held on true
    left join lateral (
        select finished_at from mailings
        where part = p.number and messages_removed_at is null and finished_at is not null
        order by finished_at limit 1) first on true
    left join lateral (
        select finished_at from mailings
        where part = p.number and messages_removed_at is null and finished_at is not null
        order by finished_at desc limit 1) last on true
    order by p.number
""")
_NOW = text("select now()")


def give_up(connection: Connection, number: int, finished_before: timedelta, *, with_part: bool) -> Mapping[int, int]:
    """Says of the next mailings of a part that their messages are removed; their audiences by id, none where there is
    no other.

    Their tallies are folded. Those that somebody has locked have their turn later.

    Args:
        number: of the part.
        finished_before: how long ago, at least.
        with_part: whether the part goes as a whole; else their messages are still to be deleted.
    """
    looked_for = {"number": number, "kept": finished_before, "slice": SLICE}
    locked = connection.scalars(_LOCK_OLD, looked_for).all()
    given_up = connection.execute(_GIVE_UP, {"ids": locked, "with_part": with_part}) if locked else ()
    audiences = {row.id: row.audience for row in given_up}
    if audiences:
        fold_tallies(connection, sorted(audiences))
        connection.execute(_NO_FINDINGS, {"ids": list(audiences)})
    return audiences


_LOCK_OLD = text(f"""
    select id from mailings
    where part = :number and messages_removed_at is null and finished_at <= now() - :kept
      and id not in ({NAMED_MAILINGS})
    order by finished_at limit :slice for no key update skip locked
""")

# By now it is seen who has named one before it was locked. Where a mailing's messages begin and end is forgotten with
# them: `leftovers` finds those that it still knows of.
_GIVE_UP = text(f"""
    update mailings set messages_removed_at = now(),
        first_message_id = case when :with_part then null else first_message_id end,
        last_message_id = case when :with_part then null else last_message_id end
    where id = any(:ids) and id not in ({NAMED_MAILINGS})
    returning id, audience
""")
_NO_FINDINGS = text("delete from ledger_findings where mailing_id = any(:ids)")


def is_given_up(connection: Connection, number: int) -> bool:
    """Whether every mailing of a part is, and none is launched into it any more."""
    return bool(connection.scalar(_IS_GIVEN_UP, {"number": number}))


_IS_GIVEN_UP = text("""
    select closed_at is not null
           and not exists (select from mailings where part = :number and messages_removed_at is null)
    from parts where number = :number
""")


def size(connection: Connection, number: int) -> int:
    """Bytes on the disk, indexes included, of what is still there of a part."""
    return connection.scalar(_SIZE, {"tables": [table_of(name, number) for name in TABLES]}) or 0


_SIZE = text("select sum(pg_total_relation_size(to_regclass(name)))::bigint from unnest(cast(:tables as text[])) name")


def forget(connection: Connection, number: int) -> bool:
    """The part is gone, and with it what was still to be deleted one by one; True."""
    connection.execute(_NOTHING_LEFT, {"number": number})
    connection.execute(_FORGET, {"number": number})
    return True


_NOTHING_LEFT = text("""
    update mailings set first_message_id = null, last_message_id = null
    where part = :number and messages_removed_at is not null and first_message_id is not null
""")
_FORGET = text("delete from parts where number = :number")
