"""Which mailings have messages that wait."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

from shared.messages.fragments import next_due
from shared.messages.parts import Place, place_of


def find_waiting(connection: Connection, places: Iterable[Place]) -> Mapping[int, bool]:
    """The mailings that have messages which wait, and whether the first of them is due."""
    by_part: dict[int, list[int]] = defaultdict(list)
    for mailing_id, part in places:
        if part is not None:
            by_part[part].append(mailing_id)
    waiting: dict[int, bool] = {}
    for part, mailing_ids in by_part.items():
        for mailing_id, is_due in connection.execute(_WAITING, {"part": part, "mailing_ids": mailing_ids}):
            waiting[mailing_id] = is_due
    return waiting


_WAITING = text(f"""
    select job.id, next.due_at <= now() from unnest(cast(:mailing_ids as bigint[])) as job (id)
    cross join lateral ({next_due("due_at", "job.id")} limit 1) next
""")


def has_waiting(connection: Connection, mailing_id: int) -> bool:
    """Whether messages of a mailing wait, locked or not."""
    return bool(find_waiting(connection, [place_of(connection, mailing_id)]))
