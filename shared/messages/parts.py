"""Where the rows of mailings stand, so that a statement names its part and the planner looks at no other one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text


def parts_of(connection: Connection, mailing_ids: Sequence[int]) -> Mapping[int | None, Sequence[int]]:
    """The mailings by the part that has their messages; None: they have none yet. An id without a mailing is left
    out."""
    found = defaultdict(list)
    for mailing_id, part in connection.execute(_OF, {"mailing_ids": sorted(mailing_ids)}):
        found[part].append(mailing_id)
    return found


_OF = text("select id, part from mailings where id = any(:mailing_ids) order by id")


class Place(NamedTuple):
    """Where the messages of a mailing are; without a part there are none yet."""

    mailing_id: int
    part: int | None


def place_of(connection: Connection, mailing_id: int) -> Place:
    """Without a part, too, where there is no such mailing."""
    return Place(mailing_id, next(iter(parts_of(connection, [mailing_id])), None))


def end_of_span(connection: Connection, part: int, first: int, last: int, span: int) -> int:
    """The id of the last of the next `span` messages of a part, of whichever mailing, from `first` on; `last` where
    there are none up to it.

    Not `first + span`: after a restore ids are set ahead by far.
    """
    values = {"part": part, "first": first, "last": last, "span": span}
    found: int | None = connection.scalar(_END_OF_SPAN, values)
    return last if found is None else found


_END_OF_SPAN = text("""
    select max(id) from (
        select id from messages where part = :part and id between :first and :last order by id limit :span
    ) ids
""")


def open_parts(connection: Connection) -> Sequence[int]:
    """The parts of mailings that are not finished: there are no open messages but in these."""
    return connection.scalars(_OPEN).all()


# From one number to the next in the index of just these mailings, however many of them share it.
_OPEN = text("""
    with recursive parts as (
        (select part from mailings where finished_at is null and part is not null order by part limit 1)
        union all
        select (select part from mailings where finished_at is null and part > parts.part order by part limit 1)
        from parts where parts.part is not null
    )
    select part from parts where part is not null
""")
