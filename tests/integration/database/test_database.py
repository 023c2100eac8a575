"""Connections to a database that falls silent."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import InternalError, OperationalError

from shared.clock import ticks
from shared.database.engine import MARGIN, answers, make_engine, one_statement
from shared.database.ids import GivenIds
from tests.support.superuser import superuser
from tests.support.tcp_proxy import TcpProxy, by_way_of, socket_of

TIMEOUT = 1.0


@pytest.fixture
def impatient(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, "impatient", pool_size=1, statement_timeout=TIMEOUT)
    yield engine
    engine.dispose()


def pid(connection: Connection) -> int:
    return int(connection.scalar(text("select pg_backend_pid()")) or 0)


@contextmanager
def frozen(backend: int) -> Iterator[None]:
    """The server's process for a connection holds still: its socket is open and takes what is sent."""
    os.kill(backend, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(backend, signal.SIGCONT)


@pytest.mark.parametrize(
    "call",
    [
        lambda connection: connection.execute(text("select 1")),
        lambda connection: connection.execute(text("insert into reports values (:day)"), [{"day": "2026-01-31"}] * 2),
        Connection.commit,
        Connection.rollback,
    ],
    ids=["execute", "executemany", "commit", "rollback"],
)
def test_no_call_waits_for_a_server_that_is_frozen(impatient: Engine, call: Callable[[Connection], object]) -> None:
    with impatient.connect() as connection, frozen(pid(connection)):
        began = ticks()
        with pytest.raises(OperationalError) as caught:
            call(connection)
        assert ticks() - began > TIMEOUT, "the server has less time than the statement"
        assert caught.value.connection_invalidated
    with impatient.connect() as connection:
        assert connection.scalar(text("select 1")) == 1


def test_a_connection_that_has_waited_in_the_pool_is_asked_first(
    impatient: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.database.engine.RESTED", 0.0)
    with impatient.connect() as connection:
        backend = pid(connection)
    with frozen(backend):
        assert answers(impatient)
        with impatient.connect() as connection:
            assert pid(connection) != backend


def test_sessions_that_are_ended_as_soon_as_they_begin_are_trouble_of_the_database(
    engine: Engine, impatient: Engine
) -> None:
    """And not an error of the pool, which nobody would take for one."""

    def end(connection: Any, *_: object) -> None:
        with superuser(engine) as admin:
            admin.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": connection.get_backend_pid()})

    with impatient.connect() as connection:
        pooled = connection.connection.dbapi_connection
    end(pooled)
    event.listen(impatient, "connect", end)
    with pytest.raises(OperationalError) as caught, impatient.connect() as connection:
        connection.execute(text("select 1"))
    assert caught.value.connection_invalidated


def test_a_call_that_is_answered_in_time_is_left_alone(impatient: Engine) -> None:
    """Though many of them together take longer than one may."""
    with impatient.connect() as connection:
        backend = pid(connection)
        end = ticks() + 2 * (TIMEOUT + MARGIN)
        while ticks() < end:
            assert connection.scalar(text("select pg_backend_pid() from pg_sleep(0.4)")) == backend
            time.sleep(0.1)


def test_a_single_statement_is_a_transaction_and_one_round_trip(engine: Engine, impatient: Engine) -> None:
    with impatient.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        backend = pid(connection)
    with one_statement(impatient) as connection:
        connection.execute(_WRITE)
    asked = text("select query, state from pg_stat_activity where pid = :pid")
    with superuser(engine) as other:
        assert other.execute(text("select count(*) from reports")).scalar() == 1
        assert other.execute(asked, {"pid": backend}).one() == (_WRITE.text, "idle")
    with impatient.connect() as connection:
        connection.execute(text("insert into reports values ('2026-02-01')"))
    with engine.connect() as other:
        assert other.execute(text("select count(*) from reports")).scalar() == 1, "what comes next is not committed"


def test_a_single_statement_may_lose_its_connection(impatient: Engine) -> None:
    end = text("select pg_terminate_backend(pg_backend_pid()) from set_config('role', 'none', false)")
    with pytest.raises(OperationalError) as caught, one_statement(impatient) as connection:
        connection.execute(end)
    assert caught.value.connection_invalidated
    with one_statement(impatient) as connection:
        assert connection.scalar(text("select 1")) == 1


def test_sessions_from_a_time_without_writes_are_not_kept(engine: Engine, impatient: Engine) -> None:
    """They would stay read-only when the database is not any more."""
    name = f'"{engine.url.database}"'
    with engine.connect() as admin:
        admin.execution_options(isolation_level="AUTOCOMMIT")
        admin.execute(text("set role none"))
        admin.execute(text(f"alter database {name} set default_transaction_read_only = on"))
        with pytest.raises(InternalError) as caught, impatient.begin() as connection:
            connection.execute(_WRITE)
        assert caught.value.connection_invalidated
        assert answers(impatient), "it can still be read"
        admin.execute(text(f"alter database {name} reset default_transaction_read_only"))
    with impatient.begin() as connection:
        connection.execute(_WRITE)


_WRITE = text("insert into reports values ('2026-01-31')")


def test_a_connection_costs_few_round_trips(database_url: str) -> None:
    """Those of fifty dispatchers are all made anew when their database comes back."""
    with TcpProxy() as proxy:
        proxy.target = socket_of(database_url)
        engine = make_engine(by_way_of(proxy, database_url), "far away", pool_size=2)
        event.listen(engine, "connect", GivenIds().check)
        with engine.connect() as connection:  # SQLAlchemy has questions of its own, once
            before = proxy.asked
            with engine.connect():
                assert proxy.asked - before <= 4  # its start, two; the role; the ids
            connection.rollback()
        engine.dispose()
