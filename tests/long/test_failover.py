"""A PostgreSQL primary is lost in mid-mailing, and its standby takes over."""

import json
import time

import psutil
import psycopg2
import pytest

from sandbox.simulator.faults import Faults
from shared.database.engine import make_engine
from shared.domain.message import MessageState
from shared.retention.parts import turn
from tests.e2e.system import System, with_status
from tests.long.conftest import RunSystem, Sendings, now
from tests.support.books import Books
from tests.support.keeping import age, close_part, parts, standing, tables
from tests.support.postgres_servers import PostgresServer, primary_and_standby

CLIENTS = 4_000
STEADY = Faults(latency_ms=100)
CALLS = 32
"""A dispatcher's, at a time: two of them send 640 messages per second."""

DECISION = 3.0
"""Seconds that whoever watches the primary takes to promote the standby."""


def both(*servers: PostgresServer) -> str:
    """The URL of a database on whichever of them takes writes, as libpq writes it."""
    return f"postgresql://postgres@{','.join(server.address for server in servers)}/notify"


def start(
    run_system: RunSystem, primary: PostgresServer, standby: PostgresServer, broker: str | None, **settings: str
) -> System:
    primary.ask("create database notify")
    system = run_system(both(primary, standby), broker, DISPATCH_CONCURRENCY=str(CALLS), **settings)
    system.simulator.set_faults(STEADY)
    return system


def take_over(primary: PostgresServer, standby: PostgresServer) -> float:
    """The primary is lost, and after a while the standby promoted; when it was."""
    primary.kill()
    time.sleep(DECISION)
    standby.promote()
    return now()


@pytest.mark.parametrize("broker", ["table", "rabbitmq"])
def test_a_synchronous_standby_takes_over(run_system: RunSystem, request: pytest.FixtureRequest, broker: str) -> None:
    """Nobody is lost and nobody gets it twice."""
    broker_url = request.getfixturevalue("rabbitmq_url") if broker == "rabbitmq" else None
    with primary_and_standby(is_synchronous=True) as (primary, standby):
        system = start(run_system, primary, standby, broker_url)
        system.fill(CLIENTS)
        mailing_id = system.mail()
        system.until_sent(mailing_id, CLIENTS // 4, within=120)
        promoted_at = take_over(primary, standby)
        system.until(system.api.ready, "the API is ready", within=120)
        later = system.mail(starts=1)

        for one in (mailing_id, later):
            messages = system.until_over(one, within=120)
            assert len(messages) == CLIENTS
            assert with_status(messages, MessageState.SENT) == messages.keys()
        assert {one.count for one in system.simulator.received().values()} == {1}
        pause = Sendings(system).next_after(promoted_at)
        print(f"{broker}: sending again {pause:.1f} s after the promotion")
        assert pause < 10


def test_a_part_is_on_its_way_out_meanwhile(run_system: RunSystem, rabbitmq_url: str) -> None:
    """Its detach has begun, and waits for a reader, when the primary is lost: it goes on where that ended."""
    with primary_and_standby(is_synchronous=True) as (primary, standby):
        system = start(run_system, primary, standby, rabbitmq_url, RETENTION_DAYS="1")
        books = Books(make_engine(both(primary, standby), "test"))
        system.fill(10, tag="old")
        old = system.mail(tags=["old"])
        system.until_over(old, within=120)
        part = close_part(books, days_ago=2)
        with books.engine.begin() as connection:
            turn(connection)
        age(books, old, 2)
        system.fill(CLIENTS, tag="many")
        mailing_id = system.mail(tags=["many"])
        reader = psycopg2.connect(primary.url("notify"))
        reader.cursor().execute("select count(*) from attempts")
        (leader,) = (name for name in system.dispatchers if system.metric(name, "feeder_leader"))
        assert system.processes.stop(leader) == 0  # the next one looks at once what may go
        system.start_dispatcher(leader)
        system.until(
            lambda: primary.ask("select inhrelid from pg_inherits where inhdetachpending", "notify"),
            "the detach has begun",
            within=60,
        )
        assert system.figures(mailing_id)["sent"] < CLIENTS
        take_over(primary, standby)
        reader.close()
        books.engine.dispose()
        system.until(system.api.ready, "the API is ready", within=120)

        messages = system.until_over(mailing_id, within=120)
        assert with_status(messages, MessageState.SENT) == messages.keys()
        assert {one.count for one in system.received(mailing_id).values()} == {1}
        system.until(lambda: part not in parts(books), "the part is gone", within=90)
        assert not standing(books).keys() & tables(part).keys()
        books.engine.dispose()


@pytest.mark.parametrize("dies", [False, True], ids=["all dispatchers live", "one is lost with it"])
def test_an_asynchronous_standby_is_told_what_it_has_not_got(
    run_system: RunSystem, rabbitmq_url: str, dies: bool
) -> None:
    """Its commits are a second behind when the primary is lost. What the provider took in that second the dispatchers
    know that called. Nobody is lost, and what comes again is what one knew that is gone as well."""
    with primary_and_standby(is_synchronous=False) as (primary, standby):
        system = start(run_system, primary, standby, rabbitmq_url)
        system.fill(CLIENTS)
        mailing_id = system.mail()
        system.until_sent(mailing_id, CLIENTS // 4, within=120)
        ((sender,),) = primary.ask("select pid from pg_stat_replication")
        psutil.Process(sender).suspend()
        behind_since = now()
        time.sleep(1)
        if dies:
            system.processes.kill("dispatcher-2")
        lost_at = now()
        take_over(primary, standby)
        system.until(system.api.ready, "the API is ready", within=120)

        messages = system.until_over(mailing_id, within=120)
        assert with_status(messages, MessageState.SENT) == messages.keys()
        received = system.received(mailing_id)
        assert received.keys() == messages.keys()
        again = {message_id: one for message_id, one in received.items() if one.count > 1}
        in_between = [one for one in received.values() if behind_since - 1 < one.first_at < lost_at + 1]
        told = sum(told_again(system, name) for name in system.dispatchers)
        print(f"{len(in_between)} sent in that second, {told} told again, {len(again)} sent again")
        assert told, "the standby had everything"
        if dies:
            assert 0 < len(again) < 0.75 * len(in_between)
        else:
            assert len(again) < 0.1 * told
        for one in again.values():
            assert behind_since - 1 < one.first_at < lost_at + DECISION


def told_again(system: System, name: str) -> int:
    """How many results the new primary got from a dispatcher that the old one had had."""
    said = (json.loads(line) for line in system.processes.output(name) if "database_had_forgotten" in line)
    return sum(event["results"] for event in said)
