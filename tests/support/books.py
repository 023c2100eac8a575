"""A database under test: its clients, mailings and messages, and whether the ledger agrees with the rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, Row, text

from dispatcher_service.leading.chores.finish_mailings import finish_mailings
from dispatcher_service.leading.isolation import Isolation
from shared import standing
from shared.domain.apart import IS_HIDDEN
from shared.domain.message import AMBIGUOUS_ERRORS, FINAL_STATES, MessageState
from shared.domain.receipt import RECEIPTS, ReceiptState, counted_as
from shared.domain.retry import Decision, Finish, Retry
from shared.domain.text.template import is_template
from shared.ledger.check import read_accounts, snapshot
from shared.ledger.entries import Entries, open_entries
from shared.ledger.figures import find_unbalanced, read_figures, read_totals
from shared.ledger.slot import Slot
from shared.messages.claim import Claimed, claim_messages
from shared.messages.create import create_messages
from shared.messages.due import Wanted, read_due
from shared.messages.record import Verdict, record_verdicts
from shared.messages.rescue import find_lost, rescue_messages
from tests.support.superuser import superuser

TABLES = (
    "clients",
    "suppressions",
    "erasures",
    "former_phones",
    "suppression_keys",
    "imports",
    "import_clients",
    "refused_lines",
    "suppression_files",
    "segments",
    "mailings",
    "messages",
    "attempts",
    "receipts",
    "message_references",
    "waiting_receipts",
    "receipt_counters",
    "mailing_counters",
    "mailing_openings",
    "ledger_totals",
    "ledger_findings",
    "mailing_breakdowns",
    "mailing_moments",
    "mailing_standings",
    "tallies",
    "broker_jobs",
    "dispatcher_paces",
    "limits",
    "providers",
    "scaling",
)
_FILLED = " union all ".join(
    f"select '{table}' as name where pg_relation_size('{table}') > 0"
    f" or exists (select from pg_partition_tree('{table}') where pg_relation_size(relid) > 0)"
    for table in TABLES
)
"""Those with pages: what was rolled back takes room as well."""
_RESTART = """
    select setval(quote_ident(sequencename)::regclass, start_value, false) from pg_sequences
    where sequencename = any(:names)
"""
LEASE = timedelta(seconds=30)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Move = Callable[Concatenate[Connection, Entries, Arguments], Result]


class Books:
    def __init__(self, engine: Engine, slot: int = 1) -> None:
        self.engine = engine
        self._slot = slot
        self._phones = 79000000000

    def empty(self) -> None:
        """Truncating a table costs milliseconds, whether anything is in it or not, and so does a sequence with it."""
        filled = ", ".join(row.name for row in self.run(_FILLED))
        if filled:
            self.run(f"truncate {filled} cascade")
        self.run(_RESTART, names=["message_ids", *(f"{table}_id_seq" for table in TABLES)])
        self.run("delete from lanes where number > 0")
        self.run("update lanes set providers = '{}', operator_codes = '{}', senders = '{}', routing = 0")

    def run(self, statement: str, **values: Any) -> Sequence[Row[*tuple[Any, ...]]]:
        """One statement of a superuser in a transaction of its own; its rows, if it gives any."""
        with superuser(self.engine) as connection:
            result = connection.execute(text(statement), values)
            return result.all() if result.returns_rows else []

    def move(self, move: Move[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """One of the moves of `shared.messages`, entered in the ledger and committed."""
        with self.engine.begin() as connection, open_entries(connection, self._slot) as entries:
            return move(connection, entries, *args, **kwargs)

    def now(self) -> datetime:
        return self.run("select now()")[0][0]  # type: ignore[no-any-return]

    # ---------------------------------------------------------------- what there is

    def clients(
        self, count: int = 1, *, timezone: str = "Europe/Moscow", operator_code: str = "900", tag: str = ""
    ) -> list[int]:
        rows = self.run(
            """insert into clients (phone, operator_code, tag, timezone)
               select :first + n, :operator_code, :tag, :timezone from generate_series(1, :count) n returning id""",
            first=self._phones, count=count, timezone=timezone, operator_code=operator_code, tag=tag,
        )  # fmt: skip
        self._phones += count
        return [row.id for row in rows]

    def mailing(
        self,
        *,
        starts: timedelta = -SECOND,
        ends: timedelta = HOUR,
        window: tuple[str, str] | None = None,
        operator_codes: Sequence[str] = (),
        tags: Sequence[str] = (),
        imports: Sequence[int] = (),
        words: str = "Hello",
        test: bool = False,
    ) -> int:
        """A mailing that starts and ends so long from now. test: of a test key."""
        window_from, window_until = window or (None, None)
        rows = self.run(
            """insert into mailings
               (text, personal, starts_at, ends_at, window_from, window_until, operator_codes, tags, imports, test)
               values (:words, :personal, now() + :starts, now() + :ends, :window_from, :window_until, :operator_codes,
                :tags, :imports, :test) returning id""",
            words=words, personal=is_template(words),
            starts=starts, ends=ends, window_from=window_from, window_until=window_until,
            operator_codes=list(operator_codes), tags=list(tags), imports=list(imports), test=test,
        )  # fmt: skip
        if not test:
            self.move(lambda _, entries: entries.shown(1))
        return int(rows[0].id)

    def launch(self, mailing_id: int, limit: int = 1000) -> int:
        """All slices of a launch; how many there were."""
        slices = 1
        while not self.move(create_messages, mailing_id, limit).complete:
            slices += 1
        return slices

    def launched(self, count: int, **mailing: Any) -> tuple[int, list[int]]:
        """A mailing to so many new clients, launched; its id, and those of its messages."""
        self.clients(count)
        mailing_id = self.mailing(**mailing)
        self.launch(mailing_id)
        return mailing_id, self.ids(mailing_id)

    def due(self, mailing_id: int, limit: int = 10_000) -> list[int]:
        """The messages that are due, in the order in which they are read."""
        [(part,)] = self.run("select part from mailings where id = :id", id=mailing_id)
        with self.engine.begin() as connection:
            read = read_due(connection, part or 0, [Wanted(mailing_id, 0, limit, None)], limit)
        return [message_id for group in read.groups.get(0, ()) for message_id in group.ids]

    def claim(self, mailing_id: int, ids: Sequence[int], *, lease: timedelta = LEASE) -> list[Claimed]:
        claim = self.move(claim_messages, {mailing_id: ids}, lease=lease)
        return list(claim.messages) if claim else []

    def rescue(self, attempts: int, limit: int) -> int:
        """How many messages whose lease had run out."""
        with self.engine.begin() as connection:
            lost = find_lost(connection, limit)
        return sum(self.move(rescue_messages, attempts, each) for each in lost.values())

    def record(
        self, decision: Decision, claimed: Sequence[Claimed], error: Any = None, *, is_spent: bool = True
    ) -> int:
        """How many verdicts came too late."""
        ambiguous = error in AMBIGUOUS_ERRORS
        verdicts = [Verdict(message, decision, error, ambiguous, is_spent=is_spent) for message in claimed]
        return self.move(record_verdicts, verdicts, SECOND)

    def prove(self, *mailing_ids: int) -> None:
        """The provider has accepted a message of each: they may have any number of calls open."""
        with self.engine.begin() as connection:
            standing.prove(connection, mailing_ids)

    def retrying(self, delay: timedelta, error: Any = None) -> tuple[int, int]:
        """A mailing with one message, which waits on the rung of that delay; the ids of both."""
        mailing_id, ids = self.launched(1)
        assert self.record(Retry(delay), self.claim(mailing_id, ids), error) == 0
        return mailing_id, ids[0]

    def finish(self, mailing_ids: Sequence[int]) -> list[int]:
        """Finishes those that can be, as the auditor does; their ids."""
        with self.engine.connect() as connection:
            with snapshot(connection):
                accounts = read_accounts(connection, mailing_ids)
            return finish_mailings(Isolation(connection, Slot("books")), accounts)

    def place(self) -> None:
        """Messages that a test has written itself: their mailings know where they are, as a launch leaves it."""
        self.run("""
            update mailings g set part = m.part, first_message_id = m.first, last_message_id = m.last from (
                select mailing_id, part, min(id) as first, max(id) as last from messages group by mailing_id, part
            ) m where g.id = m.mailing_id
        """)

    # ---------------------------------------------------------------- what became of it

    def ids(self, mailing_id: int) -> list[int]:
        return [row.id for row in self.run("select id from messages where mailing_id = :id order by id", id=mailing_id)]

    def message(self, message_id: int) -> Row[*tuple[Any, ...]]:
        return self.run("select * from messages where id = :id", id=message_id)[0]

    def states(self, mailing_id: int) -> dict[str, int]:
        """How many messages are in each state, by the rows; states without any are left out."""
        rows = self.run(
            "select status, count(*) as number from messages where mailing_id = :id group by 1", id=mailing_id
        )
        return {row.status: row.number for row in rows}

    def tallies(self, mailing_id: int) -> dict[str, int]:
        rows = self.run(
            "select name, sum(count)::int as number from tallies where mailing_id = :id group by name", id=mailing_id
        )
        return {row.name: row.number for row in rows}

    def check(self) -> None:
        """The ledger of every mailing, its counters against its rows, and the final states against the tallies."""
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            rows = connection.execute(
                text("select mailing_id, status, count(*) as number from messages group by 1, 2")
            ).all()
            ids = list(connection.scalars(text("select id from mailings")))
            figures = read_figures(connection, ids)
            tallies = connection.execute(
                text("select mailing_id, name, sum(count) as number from tallies group by 1, 2")
            )
            received = connection.execute(
                text("select mailing_id, status, state, count(*) as number from receipts group by 1, 2, 3")
            ).all()
            tallied = {(row.mailing_id, row.name): row.number for row in tallies}
            assert find_unbalanced(connection) == []
            totals = read_totals(connection)
            shown = read_figures(
                connection, list(connection.scalars(text(f"select id from mailings where not {IS_HIDDEN}")))
            )
        assert totals.audience == sum(each.audience for each in shown.values())
        assert totals.receipts == {name: sum(each.receipts[name] for each in shown.values()) for name in RECEIPTS}
        assert totals.states == {state: sum(each.states[state] for each in shown.values()) for state in MessageState}
        receipts: dict[int, Counter[str]] = defaultdict(Counter)
        for row in received:
            if name := counted_as(MessageState(row.status), ReceiptState(row.state)):
                receipts[row.mailing_id][name] = row.number
        assert {id: dict(each.receipts) for id, each in figures.items()} == {
            id: {name: receipts[id][name] for name in RECEIPTS} for id in ids
        }
        counted: dict[int, Counter[str]] = {mailing_id: Counter() for mailing_id in ids}
        for row in rows:
            counted[row.mailing_id][row.status] = row.number
        for mailing_id in ids:
            assert figures[mailing_id].audience == counted[mailing_id].total()
            assert {state: number for state, number in figures[mailing_id].states.items() if number} == {
                MessageState(state): number for state, number in counted[mailing_id].items()
            }
            for state in FINAL_STATES:
                assert tallied.get((mailing_id, state), 0) == counted[mailing_id][state]


SENT = Finish(MessageState.SENT)
FAILED = Finish(MessageState.FAILED)
