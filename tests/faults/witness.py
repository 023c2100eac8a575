"""A witness in the database: sees every claim, every end of one, and every touch of a message in a final state.

What it saw outlives whoever did it. A thread holds the ledger against the messages all the while.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from shared import clock
from shared.database.engine import make_engine
from shared.database.lead import LEADER_LOCK
from shared.database.parts import table_of
from shared.domain.message import AMBIGUOUS_ERRORS, FINAL_STATES, OPEN_STATES, Error, MessageState
from tests.support.books import Books
from tests.support.keeping import close_part

_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
_AMBIGUOUS = ", ".join(f"'{error}'" for error in sorted(AMBIGUOUS_ERRORS))

_COLUMNS = "id, mailing_id, status, calls, attempts"
_AGE_MAILINGS = "update mailings set finished_at = finished_at - :days * interval '1 day' where part = :part"
_AGE_PART = """
    update parts set closed_at = closed_at - :days * interval '1 day', made_at = made_at - :days * interval '1 day'
    where number = :part
"""

_INSTALL = f"""
    create table witnessed (
        at timestamptz not null default clock_timestamp(),
        who text not null default current_setting('application_name'),
        message_id bigint not null, before message_state not null, after message_state, claim_before bigint,
        claim_after bigint, attempts integer, error text
    );
    create index on witnessed (message_id);
    grant insert on witnessed to public;  -- whoever moves a message, in whatever role
    create function witness_update() returns trigger language plpgsql as $$ begin
        insert into witnessed (message_id, before, after, claim_before, claim_after, attempts, error)
        select o.id, o.status, n.status, o.claim_id, n.claim_id, n.attempts - o.attempts, n.error
        from old_rows o left join new_rows n using (id)
        where o.status in ({_FINAL}) or (o.status = 'sending' or n.status = 'sending')
            and (o.status, o.claim_id) is distinct from (n.status, n.claim_id);
        return null;
    end $$;
    create function witness_delete() returns trigger language plpgsql as $$ begin
        insert into witnessed (message_id, before) select id, status from old_rows;
        return null;
    end $$;
    create trigger witness_update after update on messages
        referencing old table as old_rows new table as new_rows for each statement execute function witness_update();
    create trigger witness_delete after delete on messages
        referencing old table as old_rows for each statement execute function witness_delete();
"""


_PAUSES = 1
"""Of the time that a look takes."""

_MOST = 0.5
"""Seconds for which a look counts, however long it waited for somebody."""


class LostAnswer(NamedTuple):
    """pid: of the dispatcher that had claimed the message. lost_at: Unix time."""

    message_id: int
    error: Error
    pid: int
    lost_at: float


class Witness:
    """A context. every: seconds between two looks at the ledger, or more, so that they do not take a core of those who
    are looked at; looks: how many there were. books: of the database."""

    def __init__(self, database_url: str, every: float = 0.2) -> None:
        self._engine = make_engine(database_url, "witness")
        self.books = Books(self._engine)
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)
        self._objection: AssertionError | None = None
        self._gone: dict[int, Row[*tuple[Any, ...]]] = {}  # messages of parts that went
        self.looks = 0
        self.books.run(_INSTALL)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        self._engine.dispose()

    def testify(self) -> None:
        """Raises AssertionError when a law was broken: a ledger out of balance, a final state touched, a message
        claimed while another claim of it was open, a claim ended by none who held it."""
        if self._objection:
            raise self._objection
        self.books.check()
        touched = self.books.run(f"select * from witnessed where before in ({_FINAL}) or after is null limit 20")
        assert not touched, "final states that were touched, or messages that were deleted"
        stolen = self.books.run("""
            select * from witnessed where before = 'sending' and after = 'sending'
                or claim_before is null and before = 'sending' or claim_after is null and after = 'sending' limit 20
        """)
        assert not stolen, "messages that were claimed while they were being sent"

    def lost_answers(self) -> list[LostAnswer]:
        """Attempts of which nobody knows whether the provider took them: what may lead to a repeat. In their order."""
        rows = self.books.run(f"""
            select lost.message_id, lost.error, split_part(made.who, ':', 2) as pid,
                   extract(epoch from lost.at)::float8 as lost_at
            from witnessed lost join witnessed made
                on made.message_id = lost.message_id and made.claim_after = lost.claim_before
            where lost.before = 'sending' and lost.attempts > 0 and lost.error in ({_AMBIGUOUS}) order by lost.at
        """)
        return [LostAnswer(row.message_id, Error(row.error), int(row.pid), row.lost_at) for row in rows]

    def lost_leases(self) -> list[LostAnswer]:
        """Those of claims that nobody answered for."""
        return [answer for answer in self.lost_answers() if answer.error is Error.LEASE_LOST]

    def messages(self) -> dict[int, Row[*tuple[Any, ...]]]:
        """All of them: mailing_id, status, attempts, by id. Those that went with their part as they were last."""
        return self._gone | {row.id: row for row in self.books.run(f"select {_COLUMNS} from messages")}

    def states(self) -> Counter[MessageState]:
        """How many messages there are in each state, without those that went."""
        rows = self.books.run("select status, count(*) as number from messages group by status")
        return Counter({MessageState(row.status): row.number for row in rows})

    # ---------------------------------------------------------------- parts that go

    def close_part(self) -> None:
        """Mailings that are launched from now on have the next part; the one that was closed before is left alone."""
        close_part(self.books, days_ago=0)

    def age_part(self, days: float) -> int | None:
        """Makes a closed part that old of which all mailings are finished, with them; its number. None: there is none
        yet."""
        found = self.books.run("""
            select min(number) as number from parts p where closed_at is not null
              and exists (select from mailings where part = p.number)
              and not exists (select from mailings where part = p.number and finished_at is null)
        """)
        if (number := found[0].number) is None:
            return None
        self._gone |= {
            row.id: row for row in self.books.run(f"select {_COLUMNS} from messages where part = :part", part=number)
        }
        for statement in (_AGE_MAILINGS, _AGE_PART):
            self.books.run(statement, part=number, days=days)
        return int(number)

    def has_part(self, number: int) -> bool:
        """Whether anything of it is left."""
        asked = "select to_regclass(:name) is not null or exists (select from parts where number = :part)"
        return bool(self.books.run(asked, name=table_of("messages", number), part=number)[0][0])

    def leader(self) -> int | None:
        """The process id of the dispatcher that leads the feeder."""
        rows = self.books.run(
            """select split_part(application_name, ':', 2) as pid from pg_stat_activity join pg_locks l using (pid)
               where datname = current_database() and locktype = 'advisory' and objid = :lock and granted
                 and l.database = (select oid from pg_database where datname = current_database())""",
            lock=LEADER_LOCK,
        )
        return int(rows[0].pid) if rows else None

    def pass_time(self, seconds: float, states: Iterable[MessageState] = OPEN_STATES) -> None:
        """As if so much time had passed for messages in these states, and for the jobs of the table broker. What
        somebody holds a lock on is left alone."""
        self.books.run(
            """update messages m set due_at = m.due_at - :s * interval '1 s' from (
                   select id from messages where status::text = any(:states) for update skip locked) free
               where m.id = free.id""",
            s=seconds, states=list(states),
        )  # fmt: skip
        self.books.run("update broker_jobs set visible_at = visible_at - :s * interval '1 s'", s=seconds)

    def _watch(self) -> None:
        took = 0.0
        while not self._stop.wait(max(self._every, _PAUSES * took)) and not self._objection:
            began = clock.ticks()
            try:
                self.books.check()
                self.looks += 1
            except AssertionError as error:
                self._objection = error
            except SQLAlchemyError:
                pass  # the database is the victim just now
            took = min(clock.ticks() - began, _MOST)
