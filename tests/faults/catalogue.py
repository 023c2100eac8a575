"""The faults from which a soak draws. Each is a function that does harm to a scene, and returns when the harm is over.

One more fault is one more function here, or in a module that a soak imports, with `@fault(weight)` before it; what it
does goes into a block of `scene.stage.fault("what it is called")`, or of a method of the stage that opens one itself.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pika
import psycopg2

from sandbox.processes import Processes
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared.broker.topology import DISPATCH
from tests.faults.stage import Stage
from tests.support.rabbitmq import Private
from tests.support.waiting import patience
from tests.support.wall_clock import WallClock

POISON = "poison"
"""A text with this in it the provider cannot stand."""

STEADY = Faults(latency_ms=100, jitter_ms=100, poison=POISON)
MOMENT = 2.0
"""Seconds that a fault lasts which has an end of its own."""

RATES = 300, 200
"""DISPATCH_RATE, and what a dispatcher has of it where somebody has changed that."""

STEP = timedelta(seconds=3)
"""By how much the database's clock steps, forward or back: no further than a lease allows that nobody saw it."""

KEPT_DAYS = 1
"""RETENTION_DAYS."""


@dataclass(frozen=True)
class Scene:
    """What may be harmed. server: the processes of which `postgres` is one, in data_dir; they live by its clock."""

    stage: Stage
    rabbitmq: Private
    broker_url: str
    server: Processes
    data_dir: Path
    server_clock: WallClock


Act = Callable[[Scene], None]
CATALOGUE: dict[Act, int] = {}
"""How often each fault is drawn, compared with the others."""


def fault(weight: int) -> Callable[[Act], Act]:
    def enter(act: Act) -> Act:
        CATALOGUE[act] = weight
        return act

    return enter


# ---------------------------------------------------------------- processes


@fault(4)
def a_dispatcher_is_killed(scene: Scene) -> None:
    scene.stage.kill_dispatcher()


@fault(4)
def the_leader_is_killed(scene: Scene) -> None:
    scene.stage.kill_leader()


@fault(2)
def an_api_worker_is_killed(scene: Scene) -> None:
    scene.stage.kill_api_worker()


@fault(2)
def the_api_is_killed(scene: Scene) -> None:
    scene.stage.kill_api()


@fault(1)
def the_reporter_is_killed(scene: Scene) -> None:
    scene.stage.kill_reporter()


@fault(2)
def a_dispatcher_is_frozen(scene: Scene) -> None:
    """For less than its leases last."""
    with scene.stage.frozen(scene.stage.any_dispatcher(), "dispatcher frozen briefly"):
        time.sleep(MOMENT / 2)


@fault(2)
def a_dispatcher_is_frozen_for_long(scene: Scene) -> None:
    """For longer than its leases last; when it is the leader, another one takes the lead."""
    with scene.stage.frozen(scene.stage.any_dispatcher(), "dispatcher frozen"):
        time.sleep(5 * MOMENT)


@fault(2)
def a_dispatcher_is_replaced(scene: Scene) -> None:
    """SIGTERM, as a new version is rolled out."""
    _replace(scene, "dispatcher replaced")


def _replace(scene: Scene, kind: str, **settings: str) -> None:
    """settings: of the new one."""
    stage = scene.stage
    name = stage.any_dispatcher()
    stage.system.processes.wait_line(name, "dispatcher_started")
    with stage.fault(kind):
        assert stage.system.processes.stop(name) == 0
        stage.system.begin_dispatcher(name, **settings)


# ---------------------------------------------------------------- limits


@fault(2)
def a_rate_is_changed(scene: Scene) -> None:
    """Of one dispatcher, until it is started again: the others go on by theirs."""
    _replace(scene, "DISPATCH_RATE changed", DISPATCH_RATE=str(RATES[1]))


@fault(2)
def a_limit_is_changed(scene: Scene) -> None:
    """Its row is gone, or says that the wire is free an hour ago, or in an hour."""
    change = scene.stage.chance.choice((
        "delete from limits",
        "update limits set next_at = next_at - interval '1 hour'",
        "update limits set next_at = next_at + interval '1 hour'",
    ))  # fmt: skip
    with scene.stage.fault("limit's row changed"):
        _tell_database(scene, change)


# ---------------------------------------------------------------- RabbitMQ


@fault(1)
def rabbitmq_stops(scene: Scene) -> None:
    with scene.stage.fault("RabbitMQ stopped"):
        scene.rabbitmq.stop()
        scene.rabbitmq.start()


@fault(1)
def rabbitmq_loses_all(scene: Scene) -> None:
    with scene.stage.fault("RabbitMQ emptied"):
        scene.rabbitmq.wipe(scene.broker_url)


@fault(2)
def connections_are_closed(scene: Scene) -> None:
    with scene.stage.fault("RabbitMQ connections closed"):
        scene.rabbitmq.close_connections(scene.broker_url)


@fault(1)
def rabbitmq_is_short_of_memory(scene: Scene) -> None:
    with scene.stage.fault("RabbitMQ short of memory"):
        scene.rabbitmq.starve()
        time.sleep(MOMENT)
        scene.rabbitmq.reset()


@fault(2)
def a_queue_is_deleted(scene: Scene) -> None:
    with (
        scene.stage.fault("RabbitMQ queue deleted"),
        pika.BlockingConnection(pika.URLParameters(scene.broker_url)) as connection,
    ):
        connection.channel().queue_delete(DISPATCH)


# ---------------------------------------------------------------- PostgreSQL


@fault(2)
def sessions_are_terminated(scene: Scene) -> None:
    """All of the database, those of the tests among them."""
    with scene.stage.fault("PostgreSQL sessions terminated"):
        _tell_database(
            scene,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()",
        )


@fault(2)
def somebody_locks_a_mailing(scene: Scene) -> None:
    """Its row, its counters and messages, as far as nobody else has them, and goes for a coffee."""
    with scene.stage.fault("mailing's rows locked"):
        _tell_database(scene, *_LOCK_NEWEST, then=lambda: time.sleep(MOMENT))


@fault(2)
def the_databases_clock_steps(scene: Scene) -> None:
    """Ahead of ours or behind, and back again the next time."""
    step = -scene.server_clock.offset or scene.stage.chance.choice((STEP, -STEP))
    with scene.stage.fault("database's clock stepped"):
        scene.server_clock.step(step)


@fault(3)
def a_part_is_dropped(scene: Scene) -> None:
    """One of which all was kept for long enough, if there is one; and what is launched from now on is in the next."""
    stage, witness = scene.stage, scene.stage.witness
    if number := witness.age_part(KEPT_DAYS + 1):
        with stage.fault("part dropped"):
            stage.system.until(lambda: not witness.has_part(number), "it is gone", within=patience(30))
    witness.close_part()


_LOCK_NEWEST = [
    f"select from {table} where {key} = (select max(id) from mailings) for update skip locked"
    for table, key in (("messages", "mailing_id"), ("mailings", "id"), ("mailing_counters", "mailing_id"))
]


def _tell_database(scene: Scene, *statements: str, then: Callable[[], object] = lambda: None) -> None:
    """In one transaction. then: done before its end."""
    with closing(psycopg2.connect(scene.stage.system.database_url)) as connection, connection:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        then()


# ---------------------------------------------------------------- the provider


@fault(1)
def the_provider_is_gone(scene: Scene) -> None:
    _outage(scene, Mode.REFUSE)


@fault(1)
def the_provider_is_unavailable(scene: Scene) -> None:
    _outage(scene, Mode.UNAVAILABLE)


@fault(1)
def the_provider_hangs(scene: Scene) -> None:
    _outage(scene, Mode.HANG)


@fault(2)
def answers_get_lost(scene: Scene) -> None:
    """Of a third of the messages; half of those the provider has taken."""
    rates = dict.fromkeys((Fault.RESET, Fault.ACCEPT_RESET), 0.15)
    simulator = scene.stage.system.simulator
    with scene.stage.fault("provider's answers lost"):
        simulator.set_faults(replace(STEADY, rates=rates))
        time.sleep(MOMENT)
        simulator.set_faults(STEADY)


def _outage(scene: Scene, mode: Mode) -> None:
    simulator = scene.stage.system.simulator
    with scene.stage.fault(f"provider: {mode}"):
        simulator.outage(mode)
        time.sleep(MOMENT)
        simulator.end_outage()
