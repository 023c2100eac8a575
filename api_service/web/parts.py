"""What a request works with, given to the application when it is made."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

from flask import Request, current_app, request
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, sessionmaker

from shared.database.engine import one_statement
from shared.ledger.entries import Entries, open_entries
from shared.ledger.slot import Slot


class Announcer(Protocol):
    """Tells the dispatchers that a mailing may be due, so that nobody waits for the next round of theirs."""

    def announce(self, mailing_id: int) -> None:
        """Returns at once and never fails: without an announcement the mailing starts a little later."""


@dataclass(frozen=True, slots=True)
class Parts:
    """engine: for statements that are transactions by themselves. slot: where this process counts (`shared.ledger`)."""

    engine: Engine
    sessions: sessionmaker[Session]
    announcer: Announcer
    default_timezone: str
    slot: Slot


def parts() -> Parts:
    """Those of the application that handles the present request."""
    return cast(Parts, current_app.extensions["parts"])


def asked() -> Request:
    """The present request. Flask's `request` is a stand-in that looks for it whenever it is used."""
    return cast(Request, request._get_current_object())  # type: ignore[attr-defined]


def transaction() -> AbstractContextManager[Session]:
    """A session in one transaction: committed at the end of the block, rolled back by whatever leaves it otherwise.

    Rows that were read can be used afterwards; the connection is back in the pool by then.
    """
    return parts().sessions.begin()


@contextmanager
def snapshot() -> Iterator[Session]:
    """A `transaction` in which all reads see the database as of one moment."""
    with transaction() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def entering(session: Session) -> AbstractContextManager[Entries]:
    """Entries of the session's transaction in the ledger, written at the end of the block."""
    return open_entries(session.connection(), parts().slot)


def statement() -> AbstractContextManager[Connection]:
    """A connection for one statement, for which a `transaction` would be two round trips more."""
    return one_statement(parts().engine)
