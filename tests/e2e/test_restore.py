"""The database is restored to an earlier moment: no id of a message is given twice.

A backup is made in mid-mailing, and a further mailing goes out after it: the provider knows ids that the restored
database would give again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from shared.broker.memory import recall
from shared.broker.rabbitmq import RabbitMQ
from shared.domain.retry import DEFAULT_LADDER
from tests.e2e.conftest import StartSystem, running
from tests.e2e.system import Place, System, is_over
from tests.support import backup
from tests.support.postgres_servers import two_servers

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


def recover(system: System, *arguments: str, code: int = 0) -> list[str]:
    system.processes.start("recover", "shared.recover", system.env, *arguments)
    assert system.processes.wait("recover", 60) == code
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


BACKUP_SECONDS = 15
"""By then it is made."""

SLOW = "30"
"""Messages a second, so that a backup is made in mid-mailing."""


def database_time(system: System) -> datetime:
    with psycopg2.connect(system.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("select now()")
        (now,) = cursor.fetchone() or ()
    assert isinstance(now, datetime)
    return now


def mail_around(system: System, back_up: Callable[[], object]) -> tuple[datetime, dict[str, int]]:
    """A backup in mid-mailing, after which that mailing is sent to its end, and so is one that had not begun. When the
    backup began, and which mailings there are."""
    system.fill(CLIENTS, tag="running")
    system.fill(CLIENTS, tag="coming")
    under_way = system.mail(tags=["running"])
    system.until_sent(under_way, CLIENTS // 10)
    coming = system.mail(tags=["coming"], starts=BACKUP_SECONDS)
    since = database_time(system)
    back_up()
    assert system.figures(coming)["audience"] == 0, "it took too long"
    for mailing_id in (under_way, coming):
        system.until_sent(mailing_id, CLIENTS, within=120)
    return since, {"running": under_way, "coming": coming}


def hold_that_nothing_is_sent_again(system: System, since: datetime, mailings: dict[str, int]) -> None:
    """After the restore, with every dispatcher stopped."""
    before = {message_id: one.count for message_id, one in system.simulator.received().items()}
    said = recover(system, "--since", since.isoformat())
    assert said[-1].endswith("they are `unknown` now.")
    again = recover(system, "--since", since.isoformat())
    assert "already" in again[-1]
    assert not [line for line in again if line.startswith("Mailing")]
    system.start_api()
    system.start_dispatcher("dispatcher-3")
    system.until(lambda: system.metric("dispatcher-3", "feeder_leader") == 1, "it leads")
    later = system.mail(tags=["coming"])  # whoever is sent something now is sent it by this one
    system.until_sent(later, CLIENTS, within=120)
    for name, mailing_id in mailings.items():
        figures = system.until_figures(mailing_id, is_over, "every message in a final state", within=60)
        assert figures["sent"] + figures["unknown"] == figures["audience"] == CLIENTS, name
        assert figures["errors"].get("restored", 0) == figures["unknown"], name
        assert figures["unknown"] > 0
    received = {message_id: one.count for message_id, one in system.simulator.received().items()}
    assert {message_id: received[message_id] for message_id in before} == before, "sent again"
    assert received.keys() - before.keys() == set(system.messages(later)), "sent again under another id"


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_what_was_sent_since_a_dump_is_not_sent_again(start_system: StartSystem, broker: str, tmp_path: Path) -> None:
    """Neither under its old id nor under another one; and the command does nothing while dispatchers run."""
    system = start_system(broker, DISPATCH_RATE=SLOW)
    since, mailings = mail_around(system, lambda: backup.dump(system.database_url, tmp_path / "dump"))
    refused = recover(system, "--since", since.isoformat(), code=1)
    assert refused[-1].startswith("Dispatchers are connected to this database")
    for name in (*system.dispatchers, "api"):
        assert system.processes.stop(name) == 0
    backup.restore(system.database_url, tmp_path / "dump")
    hold_that_nothing_is_sent_again(system, since, mailings)


def test_what_was_sent_since_a_base_backup_is_not_sent_again(tmp_path: Path) -> None:
    """Of a server that is under load, with the log that was written meanwhile."""
    with two_servers() as (first, copy):
        first.ask("create database notify")
        urls = f"postgresql://postgres@{first.address},{copy.address}/notify"
        with running(Place(urls, None, tmp_path), DISPATCH_RATE=SLOW) as system:
            since, mailings = mail_around(system, lambda: copy.copy(first))
            for name in (*system.dispatchers, "api"):
                assert system.processes.stop(name) == 0
            first.kill()
            copy.forget_primary()
            copy.start()
            hold_that_nothing_is_sent_again(system, since, mailings)
