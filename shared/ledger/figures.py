"""The figures, read from counters and never from the messages themselves, so that they cost the same at any size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping, TextClause, text

from shared.domain.apart import IS_APART, IS_HIDDEN, NOT_APART
from shared.domain.message import FINAL_STATES, OPEN_STATES, Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import DELIVERED, RECEIPTS, UNDELIVERED
from shared.domain.state_sql import total
from shared.ledger.names import ERROR_PREFIX, IS_FINAL, REASON_PREFIX, RECEIPT_PREFIX, REPEATED, STATES


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one mailing, or a sum over several. The ledger: `audience` is the sum over `states`; and of what is sent it is
    known that it was delivered, that it was not, or it is awaited.

    receipts: by the names of `shared.domain.receipt.RECEIPTS`.
    """

    audience: int = 0
    states: Mapping[MessageState, int] = field(default_factory=lambda: dict.fromkeys(MessageState, 0))
    receipts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(RECEIPTS, 0))
    first_sent_at: datetime | None = None
    last_sent_at: datetime | None = None

    @property
    def balanced(self) -> bool:
        return self.audience == sum(self.states.values())

    @property
    def open(self) -> int:
        """Messages that may still be sent."""
        return sum(self.states[state] for state in OPEN_STATES)

    @property
    def awaiting(self) -> int:
        """Sent, and no receipt has said for good what became of them."""
        return self.states[MessageState.SENT] - self.receipts[DELIVERED] - self.receipts[UNDELIVERED]


@dataclass(frozen=True, slots=True)
class Day:
    """What happened between two moments.

    mailings: those of which a message reached a final state. states: final states reached. errors: attempts that were
    not accepted, by kind. unbalanced: ids of mailings whose ledger is wrong at this moment. receipts: final ones that
    came, by name.
    """

    mailings: int
    states: Mapping[MessageState, int]
    errors: Mapping[Error, int]
    unbalanced: Sequence[int]
    receipts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MailingDay:
    """What happened to one mailing between two moments. text: the first 200 characters. states: final ones reached."""

    id: int
    text: str
    audience: int
    states: Mapping[MessageState, int]
    is_deleted: bool = False


_COLUMNS = ", ".join(f"coalesce(sum(c.{state}), 0)::bigint as {state}" for state in STATES)
_RECEIPTS = ", ".join(f"coalesce(sum(r.{name}), 0)::bigint as {name}" for name in RECEIPTS)


def read_totals(connection: Connection) -> Figures:
    """The sum over all mailings that are really sent and not deleted; without the moments of the first and the last
    success."""
    return _figures(connection.execute(_TOTALS).mappings().one())


def read_live_totals(connection: Connection) -> Figures:
    """The same with those that are deleted and not finished, of which messages may be on the wire."""
    return _figures(connection.execute(_LIVE).mappings().one())


def _without(condition: str) -> TextClause:
    """A mailing that is hidden is taken out of the totals when it is finished as well. Until then it is one of few."""
    return text(f"""
        with hidden as (select id, audience from mailings where finished_at is null and {condition}),
        counted as (
            select {_COLUMNS}, (select coalesce(sum(audience), 0)::bigint from hidden) as audience
            from hidden cross join lateral (select * from mailing_counters where mailing_id = hidden.id) c
        ), received as (
            select {_RECEIPTS}
            from hidden cross join lateral (select * from receipt_counters where mailing_id = hidden.id) r
        ), total as (
            select {_COLUMNS}, coalesce(sum(audience), 0)::bigint as audience,
                   {_RECEIPTS.replace("r.", "c.")} from ledger_totals c
        )
        select {", ".join(f"total.{name} - counted.{name} as {name}" for name in ("audience", *STATES))},
               {", ".join(f"total.{name} - received.{name} as {name}" for name in RECEIPTS)},
               null as first_sent_at, null as last_sent_at
        from total, counted, received
    """)


_TOTALS = _without(IS_HIDDEN)
_LIVE = _without(IS_APART)


def read_ledger_totals(connection: Connection) -> Figures:
    """Of all, those that are hidden and not finished as well: as it is written down, and read from a few rows."""
    return _figures(connection.execute(_ALL).mappings().one())


_ALL = text(f"""
    select coalesce(sum(audience), 0)::bigint as audience, {_COLUMNS}, {_RECEIPTS.replace("r.", "c.")},
           null as first_sent_at, null as last_sent_at
    from ledger_totals c
""")


def read_test_totals(connection: Connection) -> Figures:
    """The sum over the tests that there are and that are not deleted. They are looked at one by one: there are few."""
    return _figures(connection.execute(_TEST_TOTALS).mappings().one())


_TEST_TOTALS = text(f"""
    with tests as (
        select id, audience from mailings where test and trial_of is null and deleted_at is null
    ), counted as (
        select {_COLUMNS} from tests cross join lateral (select * from mailing_counters where mailing_id = tests.id) c
    ), received as (
        select {_RECEIPTS} from tests cross join lateral (select * from receipt_counters where mailing_id = tests.id) r
    )
    select (select coalesce(sum(audience), 0)::bigint from tests) as audience, counted.*, received.*,
           null as first_sent_at, null as last_sent_at
    from counted, received
""")


def count_mailings(connection: Connection) -> int:
    """How many there are that are really sent and not deleted."""
    return connection.scalar(_MAILINGS) or 0


_MAILINGS = text("select coalesce(sum(mailings), 0)::bigint from ledger_totals")


def read_figures(connection: Connection, mailing_ids: Sequence[int]) -> dict[int, Figures]:
    """The figures of these mailings, by id; an id without a mailing is left out."""
    rows = connection.execute(_BY_MAILING, {"ids": list(mailing_ids)}).mappings()
    return {int(row["id"]): _figures(row) for row in rows}


_BY_MAILING = text(f"""
    select counted.*, received.* from (
        select m.id, m.audience, {_COLUMNS}, min(c.first_sent_at) as first_sent_at, max(c.last_sent_at) as last_sent_at
        from mailings m left join mailing_counters c on c.mailing_id = m.id
        where m.id = any(:ids) group by m.id
    ) counted cross join lateral (select {_RECEIPTS} from receipt_counters r where mailing_id = counted.id) received
""")


def read_errors(connection: Connection, mailing_id: int) -> dict[Error, int]:
    """Attempts of a mailing that were not accepted, by kind."""
    rows = connection.execute(_ERRORS, {"mailing_id": mailing_id})
    return {Error(name.removeprefix(ERROR_PREFIX)): count for name, count in rows}


_ERRORS = text("""
    select name, sum(count)::bigint as number from tallies
    where mailing_id = :mailing_id and name like 'error.%' group by name order by name
""")


def read_reasons(connection: Connection, mailing_id: int) -> dict[Reason, int]:
    """Messages of a mailing that were skipped, by reason."""
    rows = connection.execute(_REASONS, {"mailing_id": mailing_id})
    return {Reason(name.removeprefix(REASON_PREFIX)): count for name, count in rows}


_REASONS = text("""
    select name, sum(count)::bigint as number from tallies
    where mailing_id = :mailing_id and name like 'skipped.%' group by name order by name
""")


def read_repeated(connection: Connection, mailing_id: int) -> int:
    """Calls for messages of a mailing that the provider may have had already."""
    return connection.scalar(_REPEATED, {"mailing_id": mailing_id}) or 0


_REPEATED = text(f"""
    select coalesce(sum(count), 0)::bigint from tallies where mailing_id = :mailing_id and name = '{REPEATED}'
""")


def read_day(connection: Connection, start: datetime, end: datetime, *, checks_ledger: bool = True) -> Day:
    """What happened from `start` (included) to `end` (excluded), both on a quarter of an hour; nothing of mailings that
    stand apart. checks_ledger: `unbalanced` is looked for."""
    period = {"start": start, "end": end}
    counts = {row.name: row.number for row in connection.execute(_DAY, period)}
    return Day(
        mailings=connection.scalar(_DAY_MAILINGS, period) or 0,
        states={state: counts[state] for state in MessageState if state in counts},
        errors={error: counts[ERROR_PREFIX + error] for error in Error if ERROR_PREFIX + error in counts},
        unbalanced=find_unbalanced(connection) if checks_ledger else (),
        receipts={name: counts[RECEIPT_PREFIX + name] for name in RECEIPTS if RECEIPT_PREFIX + name in counts},
    )


_DAY = text(f"""
    select name, sum(count)::bigint as number from tallies
    where quarter >= :start and quarter < :end and {NOT_APART} group by name
""")

_DAY_MAILINGS = text(f"""
    select count(distinct mailing_id) from tallies
    where quarter >= :start and quarter < :end and {IS_FINAL} and {NOT_APART}
""")


def read_day_mailings(connection: Connection, start: datetime, end: datetime, limit: int) -> list[MailingDay]:
    """The mailings of that time, those with the most messages that reached a final state first."""
    rows = connection.execute(_DAY_LARGEST, {"start": start, "end": end, "limit": limit})
    return [
        MailingDay(
            row.id, row.text, row.audience, {state: row.counts.get(state, 0) for state in FINAL_STATES}, row.is_deleted
        )
        for row in rows
    ]


_DAY_LARGEST = text(f"""
    with counts as (
        select mailing_id, name, sum(count)::bigint as number from tallies
        where quarter >= :start and quarter < :end and {IS_FINAL} and {NOT_APART} group by mailing_id, name
    ), largest as (
        select mailing_id, sum(number) as total from counts
        group by mailing_id order by total desc, mailing_id limit :limit
    )
    select m.id, left(m.text, 200) as text, m.audience, m.deleted_at is not null as is_deleted,
           json_object_agg(counts.name, counts.number) as counts
    from largest join mailings m on m.id = largest.mailing_id join counts on counts.mailing_id = m.id
    group by m.id, largest.total order by largest.total desc, m.id
""")


def find_unbalanced(connection: Connection) -> list[int]:
    """Ids of mailings whose ledger is wrong, by the check of it or by its own sum; there are none unless something is
    wrong with the service, or somebody has changed the tables behind its back."""
    return list(connection.scalars(_UNBALANCED))


# Of what is finished nothing moves any more: it was right at that moment.
_UNBALANCED = text(f"""
    select mailing_id as id from ledger_findings
    union
    select m.id from mailings m
    where finished_at is null and not draft and audience <> (
        select coalesce(sum({total(MessageState, "c")}), 0) from mailing_counters c where c.mailing_id = m.id)
    order by id
""")


def _figures(row: RowMapping) -> Figures:
    return Figures(
        audience=row["audience"],
        states={state: row[state] for state in MessageState},
        receipts={name: row[name] for name in RECEIPTS},
        first_sent_at=row["first_sent_at"],
        last_sent_at=row["last_sent_at"],
    )
