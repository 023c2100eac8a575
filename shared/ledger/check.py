"""The ledger against the rows: what a mailing's counters say of its messages, and what the messages say themselves."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared.domain.message import OPEN_STATES, MessageState
from shared.ledger.figures import read_figures

AUDIENCE = "audience"

SLICE = 20_000
"""Rows that one statement reads at the most: some 20 ms."""


@dataclass(frozen=True, slots=True)
class Account:
    """One mailing at one moment.

    audience, counted: what the ledger says, messages by state. rows: what there is, messages by state. is_complete: no
    message is created any more.
    """

    mailing_id: int
    audience: int
    is_complete: bool
    counted: Mapping[MessageState, int]
    rows: Mapping[MessageState, int]

    @property
    def difference(self) -> dict[str, int]:
        """How many more the ledger has than there are, by state and for the audience; empty where they agree."""
        more = {str(state): self.counted[state] - self.rows[state] for state in MessageState}
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
    complete = set(connection.scalars(_COMPLETE, {"ids": list(mailing_ids)}))
    known = [mailing_id for mailing_id in mailing_ids if mailing_id in figures]
    rows = _count_rows(connection, {mailing_id: figures[mailing_id].audience for mailing_id in known})
    return [
        Account(
            mailing_id,
            figures[mailing_id].audience,
            mailing_id in complete,
            figures[mailing_id].states,
            rows[mailing_id],
        )
        for mailing_id in known
    ]


_COMPLETE = text("""
    select id from mailings where id = any(:ids) and (launched_at is not null or cancelled_at is not null)
""")


def _count_rows(connection: Connection, audiences: Mapping[int, int]) -> dict[int, Counter[MessageState]]:
    """The messages of each mailing by state. audiences: how many are expected."""
    rows: dict[int, Counter[MessageState]] = {mailing_id: Counter() for mailing_id in audiences}
    left = [(mailing_id, _FIRST, max(0, number) + 1) for mailing_id, number in audiences.items()]
    while left:
        part, left = _cut(left)
        ends = _count_slice(connection, part, rows)
        left = [(mailing_id, end, SLICE) for mailing_id, end in ends.items()] + left
    return rows


_FIRST = -(2**63)
_Job = tuple[int, int, int]
"""A mailing, the client behind whom to begin, and how many rows to read."""


def _cut(jobs: Sequence[_Job]) -> tuple[list[_Job], list[_Job]]:
    """As many of the jobs as make a slice, and the others."""
    part: list[_Job] = []
    room = SLICE
    for mailing_id, after, most in jobs:
        if not room:
            break
        part.append((mailing_id, after, min(most, room)))
        room -= min(most, room)
    return part, list(jobs[len(part) :])


def _count_slice(
    connection: Connection, jobs: Sequence[_Job], rows: Mapping[int, Counter[MessageState]]
) -> dict[int, int]:
    """Adds what it reads to `rows`; where it ended, by mailing, for those that may have more."""
    read: Counter[int] = Counter()
    ends: dict[int, int] = {}
    columns = {"ids": [job[0] for job in jobs], "afters": [job[1] for job in jobs], "mosts": [job[2] for job in jobs]}
    for row in connection.execute(_COUNT, columns):
        rows[row.id][MessageState(row.status)] += row.number
        read[row.id] += row.number
        ends[row.id] = max(row.last, ends.get(row.id, _FIRST))
    return {mailing_id: ends[mailing_id] for mailing_id, _, most in jobs if read[mailing_id] == most}


# In the order of the unique index, which so is the only way to read them.
_COUNT = text("""
    select job.id, m.status, count(*) as number, max(m.client_id) as last
    from unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:mosts as bigint[])) as job (id, after, most)
    cross join lateral (
        select status, client_id from messages where mailing_id = job.id and client_id > job.after
        order by client_id limit job.most
    ) m
    group by job.id, m.status
""")
