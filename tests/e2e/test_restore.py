"""The database is restored to an earlier moment: no id of a message is given twice.

A backup is made in mid-mailing, and a further mailing goes out after it: the provider knows ids that the restored
database would give again.
"""

from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest

from shared.broker.memory import recall
from shared.broker.rabbitmq import RabbitMQ
from shared.domain.retry import DEFAULT_LADDER
from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.support import backup

pytestmark = pytest.mark.timeout(600)  # everything is started twice

CLIENTS = 300
SENTENCE = "The database would give ids of messages again, as after a restore from a backup: it is at "
COMMAND = "`python -m shared.recover` sets them ahead"

MOVED = {"messages", "clients", "mailings", "imports", "segments", "suppressions", "audit", "claims"}
"""Whose ids somebody outside the database may know."""


def backed_up(system: System, file: Path) -> set[int]:
    """The ids that a provider got which are not in the backup."""
    system.fill(CLIENTS, tag="first")
    first = system.mail(tags=["first"])
    system.until_sent(first, CLIENTS // 10)
    backup.dump(system.database_url, file)
    system.fill(CLIENTS, tag="second")
    second = system.mail(tags=["second"])
    for mailing_id in (first, second):
        system.until_over(mailing_id)
    lost = set(system.received(second))
    assert len(lost) == CLIENTS
    return lost


def send_anew(system: System, lost: set[int]) -> None:
    """After the restore: a mailing to others, whose ids are new to the provider."""
    before = system.simulator.received().keys()
    assert lost <= before
    system.fill(CLIENTS, tag="third")
    third = system.mail(tags=["third"])
    messages = system.until_over(third, within=60)
    assert len(messages) == CLIENTS
    assert not before & messages.keys(), "the provider knows them"
    assert {message["status"] for message in messages.values()} == {"sent"}
    assert {one.count for one in system.received(third).values()} == {1}


def recover(system: System) -> list[str]:
    system.processes.start("recover", "shared.recover", system.env)
    assert system.processes.wait("recover", 30) == 0
    return system.processes.output("recover")


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_nobody_starts_on_a_database_that_rabbitmq_knows_to_be_behind(
    start_system: StartSystem, broker: str, tmp_path: Path
) -> None:
    system = start_system(broker)
    lost = backed_up(system, tmp_path / "dump")
    memory = RabbitMQ(system.env["BROKER_URL"], DEFAULT_LADDER)
    system.until(lambda: recall(memory) >= max(lost), "RabbitMQ knows the ids", within=30)
    dispatchers = system.dispatchers
    for name in (*dispatchers, "api"):
        assert system.processes.stop(name) == 0
    backup.restore(system.database_url, tmp_path / "dump")
    for name, begin in (("api", system.begin_api), ("dispatcher-1", lambda: system.begin_dispatcher("dispatcher-1"))):
        begin()
        assert system.processes.wait(name, 30) == 2
        said = system.processes.output(name)[-1]
        assert said.startswith(SENTENCE)
        assert COMMAND in said
    with psycopg2.connect(system.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("select max(id) < %s from messages", (min(lost),))
        assert cursor.fetchone() == (True,), "somebody has given ids"
    moved = recover(system)
    assert {line.partition(":")[0] for line in moved[:-1]} == MOVED
    system.start_api()
    for name in dispatchers:
        system.start_dispatcher(name)
    send_anew(system, lost)


@pytest.mark.parametrize("broker", ["table"], indirect=True)
def test_dispatchers_that_outlive_it_wait_until_the_ids_are_set_ahead(
    start_system: StartSystem, broker: str, tmp_path: Path
) -> None:
    """Without RabbitMQ they alone know."""
    system = start_system(broker)
    lost = backed_up(system, tmp_path / "dump")
    system.until(
        lambda: all(system.metric(name, "dispatcher_known_id") >= max(lost) for name in system.dispatchers),
        "both dispatchers know the ids",
    )
    backup.restore(system.database_url, tmp_path / "dump")
    system.until(
        lambda: all(any(SENTENCE in line for line in system.processes.output(name)) for name in system.dispatchers),
        "both dispatchers say why they do nothing",
    )
    waiting = system.mail(lasts=timedelta(hours=1).total_seconds())
    system.remains(lambda: system.figures(waiting)["audience"] == 0, "nothing is launched", seconds=3)
    recover(system)
    system.until_over(waiting, within=60)
    send_anew(system, lost)


def test_of_a_backup_that_is_restored_twice_no_id_is_given_twice(start_system: StartSystem, tmp_path: Path) -> None:
    """Nobody remembers what was given after the first time."""
    system = start_system("table", dispatchers=0)
    backup.dump(system.database_url, tmp_path / "dump")
    given = [next_ids(system, 1000)]
    for _ in range(2):
        backup.restore(system.database_url, tmp_path / "dump")
        recover(system)
        given.append(next_ids(system, 1000))
    assert len(set().union(*given)) == 3000
    assert max(map(max, given)) < 2**53, "what a program in JavaScript can hold"


def next_ids(system: System, count: int) -> set[int]:
    with psycopg2.connect(system.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("select nextval('message_ids') from generate_series(1, %s)", (count,))
        return {row[0] for row in cursor.fetchall()}
