"""What a whole dispatcher works on."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from shared.broker.base import Session
from shared.broker.table import TableBroker
from tests.support.books import Books
from tests.support.dispatching import LADDER


@pytest.fixture
def books(engine: Engine) -> Iterator[Books]:
    """Its ledger must balance at the end."""
    books = Books(engine)
    yield books
    books.check()


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    with TableBroker(database_url, LADDER).connect() as session:
        yield session
