"""The database crashes and takes back what was committed without waiting for the disk.

On a server of its own: whoever commits and does wait for the disk writes down what all the others did before.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from dispatcher_service.leading.lead import Leader
from shared.broker.rabbitmq import RabbitMQ
from shared.broker.topology import DISPATCH
from shared.database.engine import make_engine
from shared.domain.message import MessageState
from shared.domain.retry import DEFAULT_LADDER
from tests.e2e.conftest import running
from tests.e2e.system import Place
from tests.faults.flight import Flight, watch_final_states
from tests.support.database_faults import Postgres
from tests.support.rabbitmq import External, Private

CLIENTS = 1_200


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


def test_what_a_launch_had_not_flushed_is_made_again(
    postgres: Postgres, rabbitmq: External | Private, tmp_path: Path
) -> None:
    """The jobs are on the broker, and the crash takes back the messages that they are about."""
    url, _ = postgres.create("unflushed")
    broker_url = rabbitmq.vhost()
    with running(Place(url, broker_url, tmp_path), dispatchers=0) as system:
        watch_final_states(url)
        engine, broker = make_engine(url, "feeder", pool_size=4), RabbitMQ(broker_url, DEFAULT_LADDER)
        feeder = Leader(engine, broker, attempts=10, rate=0.0)
        with broker.connect() as session:
            feeder.start()
            with postgres.flushing_nothing():
                flight = Flight(system, CLIENTS)
                system.until(lambda: session.depth(DISPATCH), "jobs are on the broker", within=60)
                assert _count_messages(url) == CLIENTS
                with postgres.down():
                    feeder.stop()
                    feeder.join(10)
                    assert not feeder.is_alive
            engine.dispose()
            assert _count_messages(url) == 0
            assert session.depth(DISPATCH)
        system.start_dispatcher("dispatcher-1")
        landed = flight.land("database: crash before a flush")
    assert landed.in_state(MessageState.SENT) == landed.messages.keys()
    assert not landed.repeated


def _count_messages(url: str) -> int:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("select from messages")
        return cursor.rowcount
