"""Providers' own names for messages: kept only where receipts know a message by no other."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.messages.fragments import array

LOOKED_BACK = timedelta(days=10)
"""How long ago a part may have been closed in which a reference is looked for: receipts come within days."""


class Reference(NamedTuple):
    """What a provider calls a message. A message that was called for several times may have several."""

    message_id: int
    part: int
    provider: str
    reference: str


def keep_references(connection: Connection, references: Sequence[Reference]) -> None:
    """With the results that they came with, whether these were in time or not: the provider has the message."""
    if references:
        ids, parts, providers, names = zip(*sorted(set(references)), strict=True)
        values = {"ids": array(ids), "parts": array(parts), "providers": list(providers), "references": list(names)}
        connection.execute(_KEEP, values)


_KEEP = text("""
    insert into message_references (message_id, part, provider, reference)
    select * from unnest(cast(:ids as bigint[]), cast(:parts as integer[]), cast(:providers as text[]),
                         cast(:references as text[]))
    on conflict do nothing
""")


def find_references(connection: Connection, provider: str, references: Collection[str]) -> Mapping[str, int]:
    """The ids of the messages that a provider calls so. The newest part is looked at first, and mostly no other."""
    found: dict[str, int] = {}
    left = set(references)
    for part in connection.scalars(_PARTS, {"looked_back": LOOKED_BACK}).all() if left else ():
        if not left:
            break
        rows = connection.execute(_FIND, {"part": part, "provider": provider, "references": sorted(left)})
        found |= {row.reference: row.message_id for row in rows}
        left -= found.keys()
    return found


_PARTS = text("""
    select number from parts
    where (closed_at is null or closed_at > now() - :looked_back)
      and to_regclass('message_references_' || number) is not null
    order by number desc
""")
_FIND = text("""
    select job.reference, r.message_id from unnest(cast(:references as text[])) as job (reference)
    cross join lateral (
        select message_id from message_references
        where part = :part and reference = job.reference and provider = :provider limit 1
    ) r
""")
