"""The database crashes, throws everybody out, is locked, crowded, read-only or full while a mailing goes out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from shared.database.engine import STATEMENT_TIMEOUT
from shared.domain.message import MessageState
from tests.e2e.conftest import running
from tests.e2e.system import Place, System
from tests.faults.flight import Flight, lasting, steady, watch_final_states
from tests.support import database_faults
from tests.support.database_faults import Postgres

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
