"""The database crashes and takes back what was committed without waiting for the disk.

On a server of its own: whoever commits and does wait for the disk writes down what all the others did before.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.exc import OperationalError

from api_service.directory import batch
from api_service.directory.files.lines import ClientFile, Row
from api_service.directory.importer import Importer
from dispatcher_service.leading.lead import Leader
from shared.audit import Actor
from shared.broker.rabbitmq import RabbitMQ
from shared.broker.topology import DISPATCH
from shared.database.engine import make_engine
from shared.domain.message import MessageState
from shared.domain.retry import DEFAULT_LADDER
from shared.migrate import upgrade
from tests.e2e.conftest import running
from tests.e2e.system import Place
from tests.faults.flight import Flight, watch_final_states
from tests.support.api import Api
from tests.support.database_faults import Postgres
from tests.support.rabbitmq import External, Private
from tests.support.waiting import wait_until

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


def test_an_import_that_was_answered_is_there_and_one_under_way_is_whole(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the latter the last batches may be gone, with all that they counted; the same file completes it."""
    monkeypatch.setattr(batch, "LINES", 100)
    url, _ = postgres.create("imports")
    upgrade(url)
    engine = make_engine(url, "api")
    api = Api(engine)
    importer: Importer = api.app.extensions["importer"]
    file = b"phone\n" + b"".join(b"7912%07d\n" % number for number in range(1_000))
    with postgres.flushing_nothing():
        answer = api("POST", "/clients/import/", data=file, content_type="text/csv")
        assert answer.json["created"] == 1_000
        with postgres.down():
            pass
    assert api.get("/clients/imports/1/") == answer.json

    def lines() -> Iterator[Row]:
        for number in range(1_000, 2_000):
            if number == 1_600:
                wait_until(lambda: _count(url, "clients") == 1_500)
                with postgres.down():
                    pass
            yield Row(number, f"7912{number:07}")

    under_way = ClientFile(lines())
    import_id = importer.begin("", under_way, Actor("anybody"))
    with postgres.flushing_nothing(), pytest.raises(OperationalError):
        importer.take(import_id, under_way)
    left = api.get("/clients/imports/2/")
    assert left["lines"] == left["created"] == _count(url, "clients") - 1_000 < 500
    kept = "select client from (select unnest(clients) as client from import_clients where import_id = 2) each_of"
    assert _count(url, f"({kept}) kept") == left["created"]
    again = api("POST", "/clients/import/", data=file, content_type="text/csv")
    assert (again.json["created"], again.json["updated"]) == (0, 1_000)
    engine.dispose()


def _count_messages(url: str) -> int:
    return _count(url, "messages")


def _count(url: str, source: str) -> int:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select from {source}")
        return cursor.rowcount
