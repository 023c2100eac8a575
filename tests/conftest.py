"""Real parts for every test: one PostgreSQL per run, a new database for each test that asks for one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

import hypothesis
import psycopg2
import pytest
from sqlalchemy import Engine, make_url

from shared import garbage, migrate
from shared.database import embedded
from shared.database.engine import make_engine
from tests.support.databases import Databases
from tests.support.new_database import MIGRATED, new_database
from tests.support.rabbitmq import External, NoRabbitMQ, Private, running

pytest.register_assert_rewrite("tests.support.books")  # it asserts, and several conftests import it

hypothesis.settings.register_profile(
    "bounded by examples", deadline=None, print_blob=True, max_examples=int(os.environ.get("FUZZ_CASES") or 100)
)
hypothesis.settings.load_profile("bounded by examples")  # a busy machine is no failure

_WITHOUT_THE_DISK = ("fsync", "full_page_writes")
"""The data need not outlive a crash of the machine; one of the server's processes they do. So a new database takes a
tenth of the time."""


def pytest_collection_finish() -> None:
    """What was collected are thousands of tests, which stay to the end: nobody need look at them again and again."""
    garbage.collect_seldom()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL with one migrated database: of TEST_DATABASE_URL, a superuser's, or of a private one."""
    if external := os.environ.get("TEST_DATABASE_URL"):
        with new_database(external, name=MIGRATED) as template:
            migrate.upgrade(template)
            yield external
        return
    with tempfile.TemporaryDirectory(prefix="notify-") as directory:
        url = embedded.start(Path(directory))
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for setting in _WITHOUT_THE_DISK:
                cursor.execute(f"alter system set {setting} = off")
            cursor.execute("select pg_reload_conf()")
            cursor.execute(f"create database {MIGRATED}")
        template = make_url(url).set(database=MIGRATED).render_as_string(hide_password=False)
        migrate.upgrade(template)
        yield url
        embedded.release(Path(directory))


@pytest.fixture(scope="session")
def databases(postgres: str) -> Databases:
    return Databases(postgres)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The URL of a migrated database with nothing in it."""
    with databases.one() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, "test")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[External | Private]:
    """The RabbitMQ of the run: the one of TEST_BROKER_URL, or a private one."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except NoRabbitMQ as error:
            _do_without(str(error))
        yield server


@pytest.fixture(scope="session")
def private_rabbitmq(rabbitmq: External | Private) -> Private:
    """One that may be stopped, frozen and starved; whoever does it calls `reset` in the end."""
    if not isinstance(rabbitmq, Private):
        _do_without("The RabbitMQ of TEST_BROKER_URL is not the tests' own: leave it unset to test faults.")
    return rabbitmq


@pytest.fixture
def rabbitmq_url(rabbitmq: External | Private) -> Iterator[str]:
    """The URL of a new, empty virtual host."""
    url = rabbitmq.vhost()
    yield url
    rabbitmq.remove(url)


def _do_without(reason: str) -> NoReturn:
    """Where nothing may be skipped, it is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
