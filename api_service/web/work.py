"""What every action is given: who acts, and the one transaction in which all that it does happens.

Whatever belongs to each change is done here and nowhere else: figures, the audit, the condition under which it may be
made, what is told to others afterwards. The answer to a repeated request is kept in the same transaction
(`api_service.web.idempotency`), which an action joins without knowing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import Session

from api_service.web.match import Match
from shared import audit
from shared.audit import Actor, Change
from shared.database.engine import one_statement
from shared.ledger.entries import Entries
from shared.ledger.slot import Slot


def moment(connection: Connection) -> datetime:
    """What the database's clock shows. What may be done with a mailing, and what is said of it, goes by that clock, as
    its sending does; asked for after the row was locked, since the wait for a lock takes time, too."""
    shown: datetime = connection.execute(_MOMENT).scalar_one()
    return shown


_MOMENT = select(func.clock_timestamp())


def _session(connection: Connection, is_test: bool) -> Session:
    """One whose rows can be used afterwards, and that knows which mailings there are for whoever asks."""
    return Session(connection, expire_on_commit=False, info={_IS_TEST: is_test})


_IS_TEST = "is_test"


def is_of_tests(session: Session) -> bool:
    """Whether whoever asks sees tests, and no other mailings."""
    return bool(session.info.get(_IS_TEST))


class Act:
    """A transaction under way, and what is to go with its commit."""

    def __init__(
        self,
        connection: Connection,
        actor: Actor,
        slot: Slot | None = None,
        match: Match | None = None,
        *,
        is_test: bool = False,
    ) -> None:
        self.connection, self.actor, self.is_test = connection, actor, is_test
        self.entries = Entries()
        self._slot, self._match = slot, match
        self._session: Session | None = None
        self._changes: list[Change] = []
        self._afterwards: list[Callable[[], object]] = []

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = _session(self.connection, self.is_test)
        return self._session

    def expect(self, revision: int) -> None:
        """What is about to be changed has this one. Raises Changed where whoever asks has seen another."""
        if self._match is not None:
            self._match.check(revision)

    def note(
        self,
        action: str,
        thing: str,
        thing_id: int | str,
        members: Collection[str] = (),
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """For the audit; see `shared.audit.Change`."""
        self._changes.append(Change(action, thing, thing_id, members, before, after))

    def afterwards(self, do: Callable[[], object]) -> None:
        """When, and if, all is committed."""
        self._afterwards.append(do)

    def finish(self) -> None:
        """Writes what is to go with the commit."""
        if self._session is not None:
            self._session.flush()
        if self.entries:
            if self._slot is None:
                raise TypeError("Who moves messages has a slot to count them in.")
            self.entries.write(self.connection, self._slot.number(self.connection))
        audit.write(self.connection, self.actor, self._changes)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def tell(self) -> None:
        for do in self._afterwards:
            do()


@dataclass(frozen=True, slots=True)
class Work:
    """engine: of the database. slot: where this process counts (`shared.ledger`); a command has none. match: the
    condition of the request. joined: the transaction that this is a part of. is_test: the mailings that it is about are
    tests, and no other ones."""

    engine: Engine
    actor: Actor
    slot: Slot | None = None
    match: Match | None = None
    joined: Act | None = None
    is_test: bool = False

    @contextmanager
    def act(self) -> Iterator[Act]:
        """One transaction, committed at the end of the block and rolled back by whatever leaves it otherwise. Rows that
        were read can be used afterwards."""
        if self.joined is not None:
            yield self.joined
            return
        with self.engine.begin() as connection:
            act = Act(connection, self.actor, self.slot, self.match, is_test=self.is_test)
            try:
                yield act
                act.finish()
            finally:
                act.close()
        act.tell()

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """A connection for one statement that does all there is to do: by itself it is two round trips cheaper."""
        if self.joined is not None:
            yield self.joined.connection
        else:
            with one_statement(self.engine) as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading, in which every query sees what is committed by then: in a transaction it would as
        well, and cost two round trips more. Rows can be used afterwards."""
        with one_statement(self.engine) as connection, _session(connection, self.is_test) as session:
            yield session

    @contextmanager
    def look(self) -> Iterator[Session]:
        """The same where all reads see the database as of one moment."""
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin(), _session(connection, self.is_test) as session:
                yield session
