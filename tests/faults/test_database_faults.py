"""The database crashes, throws everybody out, is locked, crowded, read-only or full while a mailing goes out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from dispatcher_service.leading.lead import Leader
from shared.broker.rabbitmq import RabbitMQ
from shared.broker.topology import DISPATCH
from shared.database.engine import STATEMENT_TIMEOUT, make_engine
from shared.domain.message import MessageState
from shared.domain.retry import DEFAULT_LADDER
from tests.e2e.conftest import running
from tests.e2e.system import Place, System
from tests.faults.flight import Flight, lasting, steady, watch_final_states
from tests.services import database_faults
from tests.services.database_faults import Postgres
from tests.services.rabbitmq import External, Private

CLIENTS = 1_200
CALLS = 32
PER_SECOND = 160
"""A dispatcher's; two of them take four seconds for all."""


@dataclass(frozen=True)
class Stage:
    """url, admin_url: of the database, as the service's role and as a superuser."""

    system: System
    postgres: Postgres
    url: str
    admin_url: str


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, broker: str, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    url, admin_url = postgres.create(f"for_{broker}")
    broker_url = None if broker == "table" else request.getfixturevalue("rabbitmq").vhost()
    place = Place(url, broker_url, tmp_path_factory.mktemp("system"))
    with running(place, DISPATCH_CONCURRENCY=str(CALLS)) as system:
        watch_final_states(url)
        system.simulator.set_faults(steady(PER_SECOND, CALLS))
        yield Stage(system, postgres, url, admin_url)


FAULTS: dict[str, tuple[Callable[[Stage], AbstractContextManager[Any]], float]] = {
    "crash": (lambda stage: stage.postgres.down(), 1.0),
    "backends terminated": (lambda stage: database_faults.terminating(stage.admin_url), 2.0),
    "connections exhausted": (lambda stage: database_faults.exhausted(stage.admin_url, stage.url), 2.0),
    "read-only": (lambda stage: database_faults.read_only(stage.admin_url), 2.0),
    "disk full": (lambda stage: database_faults.disk_full(stage.admin_url), 2.0),
    "lock on mailings": (lambda stage: database_faults.locked(stage.admin_url, "mailings"), 2.0),
}
"""With the seconds that they last."""


@pytest.mark.parametrize("fault", FAULTS)
def test_the_database_in_trouble(stage: Stage, fault: str) -> None:
    """What the provider answers meanwhile is not forgotten, and nothing is sent twice."""
    harm, seconds = FAULTS[fault]
    flight = Flight(stage.system, CLIENTS)
    with flight.user() as user:
        flight.until_under_way()
        with harm(stage), lasting(seconds):
            pass
        flight.recover()
    landed = flight.land(f"database: {fault}")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert not landed.repeated
    if fault != "lock on mailings":  # that is only a wait
        user.assert_told_to_come_back(within=6.0)


@pytest.mark.parametrize("broker", ["table"], indirect=True)
def test_a_lock_that_outlasts_the_statements(stage: Stage) -> None:
    """The server ends them, and the service tries again."""
    flight = Flight(stage.system, CLIENTS)
    with flight.user() as user:
        flight.until_under_way()
        with database_faults.locked(stage.admin_url, "mailings"), lasting(STATEMENT_TIMEOUT + 2):
            pass
        flight.recover()
    landed = flight.land("database: statement time-out")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert not landed.repeated
    user.assert_told_to_come_back(within=STATEMENT_TIMEOUT + 2)


def test_what_a_launch_had_not_flushed_is_made_again(
    postgres: Postgres, rabbitmq: External | Private, tmp_path: Path
) -> None:
    """The jobs are on the broker, and the crash takes back the messages that they are about."""
    url, admin_url = postgres.create("flushed_late")
    broker_url = rabbitmq.vhost()
    with running(Place(url, broker_url, tmp_path), dispatchers=0) as system:
        watch_final_states(url)
        engine, broker = make_engine(url, "feeder", pool_size=4), RabbitMQ(broker_url, DEFAULT_LADDER)
        feeder = Leader(engine, broker, attempts=10, rate=0.0)
        with broker.connect() as session:
            feeder.start()
            with database_faults.flushing_late(admin_url):
                flight = Flight(system, CLIENTS)
                system.until(lambda: session.depth(DISPATCH), "jobs are on the broker")
                made = _count_messages(url)
                with postgres.down():
                    feeder.stop()
                    feeder.join(10)
                    assert not feeder.is_alive
            engine.dispose()
            assert _count_messages(url) < made == CLIENTS
            assert session.depth(DISPATCH)
        system.start_dispatcher("dispatcher-1")
        landed = flight.land("database: crash before a flush")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert not landed.repeated


def _count_messages(url: str) -> int:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("select from messages")
        return cursor.rowcount
