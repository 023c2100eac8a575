"""What several of these tests need."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import Engine

from dispatcher_service.leading.lead import Leader
from shared.broker.base import Broker
from shared.broker.table import TableBroker
from shared.database.engine import make_engine
from tests.support.api import Api
from tests.support.books import Books
from tests.support.databases import Databases
from tests.support.leading import LADDER, Consumer, Start, serving


@pytest.fixture
def api(engine: Engine) -> Iterator[Api]:
    """Its ledger must balance at the end."""
    api = Api(engine)
    yield api
    api.assert_balanced()


@pytest.fixture(scope="module")
def books_url(databases: Databases) -> Iterator[str]:
    """The URL of a migrated database for all tests of a module: `books` empties it, faster than another would come."""
    with databases.one() as url:
        yield url


@pytest.fixture(scope="module")
def books_engine(books_url: str) -> Iterator[Engine]:
    engine = make_engine(books_url, "books")
    yield engine
    engine.dispose()


@pytest.fixture
def books(books_engine: Engine) -> Iterator[Books]:
    """Empty at the beginning; at the end of every test the ledger is checked."""
    books = Books(books_engine)
    books.empty()
    yield books
    books.check()


@pytest.fixture
def other(books: Books, books_url: str) -> Iterator[Books]:
    """The same as another process sees it, which counts in another slot."""
    engine = make_engine(books_url, "other")
    yield Books(engine, slot=2)
    engine.dispose()


@pytest.fixture
def broker(books: Books, books_url: str) -> TableBroker:
    return TableBroker(books_url, LADDER)


@pytest.fixture
def consumer(broker: TableBroker) -> Iterator[Consumer]:
    with broker.connect() as session:
        yield Consumer(session)


@pytest.fixture
def start(books: Books, broker: TableBroker, books_url: str) -> Iterator[Start]:
    """Starts one more feeder, as in a process of its own."""
    with ExitStack() as stack:

        def start(broker: Broker = broker, engine: Engine | None = None, rate: float = 0.0, **options: Any) -> Leader:
            engine = engine or make_engine(books_url, "feeder", pool_size=4)
            feeder = Leader(engine, broker, attempts=10, rate=rate, **options)
            stack.enter_context(serving(feeder, engine))
            return feeder

        yield start
