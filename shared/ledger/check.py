"""The ledger against the rows: what a mailing's counters say of its messages, and what the messages say themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.domain.message import OPEN_STATES, MessageState
from shared.domain.receipt import RECEIPTS, ReceiptState, counted_as
from shared.ledger.figures import read_figures

AUDIENCE = "audience"

SLICE = 20_000
"""Rows that one statement reads at the most: some 20 ms."""


@dataclass(frozen=True, slots=True)
class Account:
    """One mailing at one moment.

    audience, counted, received: what the ledger says, messages by state, receipts by name. rows, receipts: the same as
    it is. is_complete: no message is created any more.
    """

    mailing_id: int
    audience: int
    is_complete: bool
    counted: Mapping[MessageState, int]
    rows: Mapping[MessageState, int]
    received: Mapping[str, int] = field(default_factory=dict)
    receipts: Mapping[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> dict[str, int]:
        """How many more the ledger has than there are, by state and for the audience; empty where they agree."""
        more = {str(state): self.counted[state] - self.rows[state] for state in MessageState}
        more |= {name: self.received.get(name, 0) - self.receipts.get(name, 0) for name in RECEIPTS}
        more[AUDIENCE] = self.audience - sum(self.rows.values())
        return {name: number for name, number in more.items() if number}

    @property
    def may_finish(self) -> bool:
        """Whether every message has its final state, by the ledger and by the rows."""
        return self.is_complete and not self.difference and not any(self.rows[state] for state in OPEN_STATES)


def prepare(connection: Connection) -> None:
    """For as long as the session lasts, tables are read by their indexes and in no other way.

    What statistics promise of a table that was filled a moment ago is of no use.
    """
    with connection.begin():
        connection.execute(_BY_INDEX)


_OTHER_WAYS = ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
_BY_INDEX = text("select " + ", ".join(f"set_config('enable_{way}', 'off', false)" for way in _OTHER_WAYS))


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """A transaction that reads, and all of it as of one moment: moves are in it with their counters, or not at all."""
    with connection.begin():
        connection.execute(_SNAPSHOT)
        yield


_SNAPSHOT = text("set transaction isolation level repeatable read, read only")


def read_accounts(connection: Connection, mailing_ids: Sequence[int]) -> list[Account]:
    """What the ledger says of these mailings and what there is, in the snapshot of the transaction; in their order.

    Every message is looked at, a slice in each statement. An id without a mailing is left out.
    """
    figures = read_figures(connection, mailing_ids)
    mailings = {row.id: row for row in connection.execute(_MAILINGS, {"ids": list(mailing_ids)})}
    known = [mailing_id for mailing_id in mailing_ids if mailing_id in figures]
    stretches = [
        _Stretch(part, mailing_id, first - 1, last)
        for mailing_id in known
        for _, part, first, last, _ in [mailings[mailing_id]]
        if part is not None and first is not None
    ]
    rows = _count_rows(connection, _COUNT, stretches)
    receipts = _count_rows(connection, _COUNT_RECEIPTS, stretches)
    return [
        Account(
            mailing_id,
            figures[mailing_id].audience,
            mailings[mailing_id].is_complete,
            figures[mailing_id].states,
            _states(rows[mailing_id]),
            figures[mailing_id].receipts,
            receipts[mailing_id],
        )
        for mailing_id in known
    ]


_MAILINGS = text("""
    select id, part, first_message_id, last_message_id, launched_at is not null or cancelled_at is not null
        as is_complete
    from mailings where id = any(:ids)
""")


class _Stretch(NamedTuple):
    """What is still to be read of a mailing: the ids behind `after` up to `last`, in a part. Some of them are of
    other mailings, which were launched at the same time."""

    part: int
    mailing_id: int
    after: int
    last: int


def _states(rows: Mapping[str, int]) -> Counter[MessageState]:
    return Counter({MessageState(name): number for name, number in rows.items()})


def _count_rows(connection: Connection, count: TextClause, left: list[_Stretch]) -> dict[int, Counter[str]]:
    """The messages of each mailing by state, or their receipts by name, as the statement has it."""
    rows: dict[int, Counter[str]] = defaultdict(Counter)
    left = sorted(left)
    while left:
        slice_, left = _cut(left)
        left = _count_slice(connection, count, slice_, rows) + left
    return rows


def _cut(left: Sequence[_Stretch]) -> tuple[list[tuple[_Stretch, int]], list[_Stretch]]:
    """As many as make a slice, all of one part, each with how many rows to read; and the others."""
    taken: list[tuple[_Stretch, int]] = []
    room = SLICE
    for one in left:
        if not room or one.part != left[0].part:
            break
        most = min(one.last - one.after, room)
        taken.append((one, most))
        room -= most
    return taken, list(left[len(taken) :])


def _count_slice(
    connection: Connection, count: TextClause, jobs: Sequence[tuple[_Stretch, int]], rows: Mapping[int, Counter[str]]
) -> list[_Stretch]:
    """Adds what it reads to `rows`; what is left of those that have more."""
    columns = {
        "part": jobs[0][0].part,
        "ids": [one.mailing_id for one, _ in jobs],
        "afters": [one.after for one, _ in jobs],
        "lasts": [one.last for one, _ in jobs],
        "mosts": [most for _, most in jobs],
    }
    read: Counter[int] = Counter()
    ends: dict[int, int] = {}
    for row in connection.execute(count, columns):
        if row.number and row.name:
            rows[row.id][row.name] += row.number
        read[row.id] += row.read
        ends[row.id] = max(row.last, ends.get(row.id, row.last))
    return [
        one._replace(after=end)
        for one, most in jobs
        if read[one.mailing_id] == most and (end := ends[one.mailing_id]) < one.last
    ]


# In the order of the primary key, which so is the only way to read them.
_JOBS = """
    unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:lasts as bigint[]), cast(:mosts as bigint[]))
        as job (id, after, last, most)
"""
_COUNT = text(f"""
    select job.id, cast(m.status as text) as name, count(*) as read,
           count(*) filter (where m.mailing_id = job.id) as number, max(m.id) as last
    from {_JOBS} cross join lateral (
        select id, mailing_id, status from messages where part = :part and id > job.after and id <= job.last
        order by id limit job.most
    ) m
    group by job.id, m.status
""")
_NAMED = " ".join(
    f"when status = '{status}' and state = '{state}' then '{name}'"
    for status in MessageState
    for state in ReceiptState
    if (name := counted_as(status, state))
)
_COUNT_RECEIPTS = text(f"""
    select job.id, case {_NAMED} end as name, count(*) as read,
           count(*) filter (where r.mailing_id = job.id) as number, max(r.message_id) as last
    from {_JOBS} cross join lateral (
        select message_id, mailing_id, status, state from receipts
        where part = :part and message_id > job.after and message_id <= job.last order by message_id limit job.most
    ) r
    group by job.id, name
""")
