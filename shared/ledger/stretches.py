"""The messages of mailings, read a slice in each statement: of each mailing those between its lowest and highest id."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, TextClause

SLICE = 20_000
"""Rows that one statement reads at the most: some 20 ms."""


class Stretch(NamedTuple):
    """What is still to be read of a mailing: the ids behind `after` up to `last`, in a part. Some of them are of
    other mailings, which were launched at the same time."""

    part: int
    mailing_id: int
    after: int
    last: int


def of_stretches(columns: str, table: str = "messages", key: str = "id") -> str:
    """What a statement reads of several, as `m`: in the order of the primary key, which so is the only way to read
    them. `job.id` is whom it reads them for. table: of messages, or of what belongs to them; key: their id there."""
    return f"""
        unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:lasts as bigint[]), cast(:mosts as bigint[]))
            as job (id, after, last, most)
        cross join lateral (
            select {columns} from {table} where part = :part and {key} > job.after and {key} <= job.last
            order by {key} limit job.most
        ) m
    """


def read_slices(connection: Connection, statement: TextClause, stretches: Iterable[Stretch]) -> Iterator[Row[Any]]:
    """What the statement gives of each slice. It reads `of_stretches`, and each of its rows says of which mailing it is
    (`id`), how many rows it stands for (`read`), and the highest id of them (`last`)."""
    left = sorted(stretches)
    while left:
        jobs, left = _cut(left)
        read: Counter[int] = Counter()
        ends: dict[int, int] = {}
        for row in connection.execute(statement, _columns(jobs)):
            yield row
            read[row.id] += row.read
            ends[row.id] = max(row.last, ends.get(row.id, row.last))
        left = [
            one._replace(after=end)
            for one, most in jobs
            if read[one.mailing_id] == most and (end := ends[one.mailing_id]) < one.last
        ] + left


def _cut(left: Sequence[Stretch]) -> tuple[list[tuple[Stretch, int]], list[Stretch]]:
    """As many as make a slice, all of one part, each with how many rows to read; and the others."""
    taken: list[tuple[Stretch, int]] = []
    room = SLICE
    for one in left:
        if not room or one.part != left[0].part:
            break
        most = min(one.last - one.after, room)
        taken.append((one, most))
        room -= most
    return taken, list(left[len(taken) :])


def _columns(jobs: Sequence[tuple[Stretch, int]]) -> dict[str, Any]:
    return {
        "part": jobs[0][0].part,
        "ids": [one.mailing_id for one, _ in jobs],
        "afters": [one.after for one, _ in jobs],
        "lasts": [one.last for one, _ in jobs],
        "mosts": [most for _, most in jobs],
    }
