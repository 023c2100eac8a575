"""Messages that are removed while their part stays, since something younger holds it: slice by slice."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

SLICE = 5_000
"""Rows that one transaction looks at: some are of mailings that were launched at the same time."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A mailing whose messages are given up and not all deleted yet: those of its ids in this range."""

    mailing_id: int
    part: int
    first: int
    last: int


def next_leftover(connection: Connection) -> Leftover | None:
    """None: there is none."""
    row = connection.execute(_NEXT).one_or_none()
    return None if row is None else Leftover(*row)


_NEXT = text("""
    select id, part, first_message_id, last_message_id from mailings
    where messages_removed_at is not null and first_message_id is not null
    order by id limit 1
""")


def delete_slice(connection: Connection, leftover: Leftover) -> tuple[int, Leftover | None]:
    """Deletes messages of a mailing and all of theirs; how many, and what is left: None, and the mailing says so.

    The range in the mailing's row begins behind what is deleted, so nobody looks at it twice.
    """
    connection.execute(_BY_INDEX)
    row = connection.execute(_DELETE, {**_values(leftover), "slice": SLICE}).one()
    is_over = row.looked_at < SLICE or row.reached >= leftover.last
    first = None if is_over else row.reached + 1
    connection.execute(_ADVANCE, {"mailing_id": leftover.mailing_id, "first": first})
    left = None if first is None else Leftover(leftover.mailing_id, leftover.part, first, leftover.last)
    return row.deleted, left


def _values(leftover: Leftover) -> dict[str, int]:
    return {
        "mailing_id": leftover.mailing_id, "part": leftover.part, "first": leftover.first, "last": leftover.last,
    }  # fmt: skip


# A range that it takes for a short one it would read whole for every slice, and sort.
_BY_INDEX = text("select set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)")

# By the primary key, in its order. What is final is locked by nobody.
_DELETE = text("""
    with looked as materialized (
        select id, mailing_id from messages where part = :part and id >= :first and id <= :last
        order by id limit :slice
    ), own as materialized (
        select id from looked where mailing_id = :mailing_id
    ), attempts_gone as (
        delete from attempts where part = :part and message_id = any(array(select id from own))
    ), receipts_gone as (
        delete from receipts where part = :part and message_id = any(array(select id from own))
    ), references_gone as (
        delete from message_references where part = :part and message_id = any(array(select id from own))
    ), gone as (
        delete from messages where part = :part and id = any(array(select id from own)) returning 1
    )
    select (select count(*) from gone) as deleted, (select count(*) from looked) as looked_at,
           (select max(id) from looked) as reached
""")
_ADVANCE = text("""
    update mailings set first_message_id = cast(:first as bigint),
        last_message_id = case when cast(:first as bigint) is null then null else last_message_id end
    where id = :mailing_id
""")
