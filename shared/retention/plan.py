"""What would go now. Reads only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared.audience.named import NAMED_MAILINGS
from shared.domain.retention import Goes, Retention
from shared.retention.kinds import KINDS, Kind, count_old
from shared.retention.parts import read_parts, size


@dataclass(frozen=True, slots=True)
class Going:
    """Messages that go from a part, those that are given up already included: of so many mailings.

    size: of the part, in bytes, where it goes as a whole; else None.
    """

    part: int
    mailings: int
    messages: int
    size: int | None


def messages_to_go(connection: Connection, retention: Retention) -> Iterator[Going]:
    parts, now = read_parts(connection)
    for part in parts:
        is_whole = retention.goes(part, now) is Goes.PART
        kept = retention.kept if is_whole else retention.kept_one_by_one
        row = connection.execute(_TO_GO, {"number": part.number, "kept": kept, "whole": is_whole}).one()
        if is_whole or row.mailings:
            bytes_ = size(connection, part.number) if is_whole else None
            yield Going(part.number, row.mailings, row.messages, bytes_)


_TO_GO = text(f"""
    select count(*) as mailings, coalesce(sum(audience), 0)::bigint as messages from mailings
    where part = :number and (messages_removed_at is null and finished_at <= now() - :kept
                              and id not in ({NAMED_MAILINGS})
                              or messages_removed_at is not null and (:whole or first_message_id is not null))
""")


def rows_to_go(connection: Connection) -> Sequence[tuple[Kind, int]]:
    """How many of every other kind."""
    return [(kind, count_old(connection, kind)) for kind in KINDS]
