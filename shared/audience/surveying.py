"""What an audience is made of: counted as a whole, and looked at in a sample of its clients."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.audience.chosen import Chosen, chosen, read_parts
from shared.audience.drawing import DEARER, DRAWN, highest_id
from shared.domain.reason import Reason
from shared.domain.segments import Audience
from shared.domain.survey import Survey

MAX_TAGS = 1_000
"""Tags in the directory; where there are more, clients are not counted by them: each may have one of their own."""


class Sampled(NamedTuple):
    """A client of a sample."""

    id: int
    phone: int
    timezone: str
    tag: str


def survey(connection: Connection, audience: Audience) -> Survey:
    """Counted now, in one pass over the clients. It may take long, and is bounded by the time-out of the transaction.

    Chosen by the condition that the launch has. What it holds at a time is bounded by `work_mem`.
    """
    wanted = chosen(audience, read_parts(connection, audience))
    has_tags = connection.execute(_COUNT_TAGS, {"most": MAX_TAGS + 1}).scalar_one() <= MAX_TAGS
    codes, zones, tags = {}, {}, {}
    clients = skipped = 0
    for row in connection.execute(_survey(wanted, has_tags=has_tags), wanted.values):
        if row.timezone is not None:
            clients += row.number
            skipped += row.number if row.is_suppressed else 0
        if row.is_suppressed:
            continue
        if row.timezone is not None:
            zones[row.timezone] = row.number
        elif row.operator_code is not None:
            codes[row.operator_code] = row.number
        elif row.tag is not None:
            tags[row.tag] = row.number
    reasons = {Reason.OPTED_OUT: skipped} if skipped else {}
    return Survey(clients, reasons, codes, zones, tags if has_tags else None)


def sample(connection: Connection, audience: Audience, clients: int, size: int) -> Sequence[Sampled]:
    """Clients of an audience of so many who are not skipped, drawn by their ids: the same ones at every look. At most
    `size`, or all where there are no more. What begins it is a sample as well, a smaller one."""
    wanted = chosen(audience, read_parts(connection, audience))
    highest = highest_id(connection)
    draws = round(_MORE * size * highest / max(clients, 1)) + 1
    few = min(_ALL, round(_ALL * _MORE * size / max(clients, 1)) + 1)
    drawn = _AMONG_ALL if few < _ALL else ""
    # Looking at all of ten million takes a second. Where few are of the audience, most ids are looked up in vain.
    if draws * DEARER <= highest:
        drawn = f"{DRAWN} and"
    bound = {**wanted.values, "few": few, "size": size, "draws": draws, "highest": highest}
    return [Sampled._make(row) for row in connection.execute(_sample(wanted, drawn), bound)]


_MORE = 1.2
"""Times as many are drawn as there have to be: how many of them there are is left to chance."""
_ALL = 2**30
_DRAWN = "hashint8extended(clients.id, 20261130)"
"""As good as a die, and as cheap as a comparison."""


def _survey(wanted: Chosen, *, has_tags: bool) -> TextClause:
    """By all columns at once, which several processes can do beside each other, and then by each."""
    tag = "tag" if has_tags else "cast(null as text)"
    parts = "".join(f"{part}, " for part in wanted.parts)
    return text(f"""
        with {parts}counted as (
            select operator_code, timezone, {tag} as tag, suppression_id is not null as is_suppressed,
                   count(*) as number
            from clients {wanted.joins} where {wanted.condition} group by 1, 2, 3, 4
        )
        select operator_code, timezone, tag, is_suppressed, cast(sum(number) as bigint) as number from counted
        group by grouping sets ((operator_code, is_suppressed), (timezone, is_suppressed), (tag, is_suppressed))
    """)


_AMONG_ALL = f"({_DRAWN} & {_ALL - 1}) < :few and"


def _sample(wanted: Chosen, drawn: str) -> TextClause:
    parts = f"with {', '.join(wanted.parts)}" if wanted.parts else ""
    return text(f"""
        {parts} select clients.id, phone, timezone, tag from clients {wanted.joins}
        where {drawn} suppression_id is null and {wanted.condition} order by {_DRAWN} limit :size
    """)


# From each tag to the next one, by the index.
_COUNT_TAGS = text("""
    with recursive found (tag) as (
        (select tag from clients order by tag limit 1)
        union all
        select (select c.tag from clients c where c.tag > found.tag order by c.tag limit 1) from found
        where found.tag is not null
    )
    select count(*) from (select from found where tag is not null limit :most) found_tags
""")
