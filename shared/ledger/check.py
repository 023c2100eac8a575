"""The ledger against the rows: what a mailing's counters say of its messages, and what the messages say themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

from shared.domain.message import OPEN_STATES, MessageState
from shared.domain.receipt import RECEIPTS, ReceiptState, counted_as
from shared.ledger.figures import read_figures
from shared.ledger.stretches import Stretch, of_stretches, read_slices

AUDIENCE = "audience"


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
    stretches = list(_stretches([mailings[each] for each in known]))
    rows: dict[int, Counter[MessageState]] = defaultdict(Counter)
    for row in read_slices(connection, _COUNT, stretches):
        if row.number:
            rows[row.id][MessageState(row.status)] += row.number
    receipts: dict[int, Counter[str]] = defaultdict(Counter)
    for row in read_slices(connection, _COUNT_RECEIPTS, stretches):
        if row.number and row.name:
            receipts[row.id][row.name] += row.number
    return [
        Account(
            mailing_id,
            figures[mailing_id].audience,
            mailings[mailing_id].is_complete,
            figures[mailing_id].states,
            rows[mailing_id],
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


def _stretches(mailings: Iterable[Row[Any]]) -> Iterator[Stretch]:
    for one in mailings:
        if one.part is not None and one.first_message_id is not None:
            yield Stretch(one.part, one.id, one.first_message_id - 1, one.last_message_id)


_COUNT = text(f"""
    select job.id, m.status, count(*) as read, count(*) filter (where m.mailing_id = job.id) as number,
           max(m.id) as last
    from {of_stretches("id, mailing_id, status")}
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
           count(*) filter (where m.mailing_id = job.id) as number, max(m.message_id) as last
    from {of_stretches("message_id, mailing_id, status, state", "receipts", "message_id")}
    group by job.id, name
""")
