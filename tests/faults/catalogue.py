"""The faults from which a soak draws. Each is a function that does harm to a scene, and returns when the harm is over.

One more fault is one more function here, or in a module that a soak imports, with `@fault(weight)` before it; what it
does goes into a block of `scene.stage.fault("what it is called")`, or of a method of the stage that opens one itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pika
import psycopg2

from sandbox.processes import Processes
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared.broker.topology import DISPATCH
from tests.faults.stage import Stage
from tests.services.rabbitmq import Private

STEADY = Faults(latency_ms=100, jitter_ms=100)
MOMENT = 2.0
"""Seconds that a fault lasts which has an end of its own."""


@dataclass(frozen=True)
class Scene:
    """What may be harmed. server: the processes of which `postgres` is one, in data_dir."""

    stage: Stage
    rabbitmq: Private
    broker_url: str
    server: Processes
    data_dir: Path


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
        time.sleep(4 * MOMENT)


@fault(2)
def a_dispatcher_is_replaced(scene: Scene) -> None:
    """SIGTERM, as a new version is rolled out."""
    stage = scene.stage
    name = stage.any_dispatcher()
    stage.system.processes.wait_line(name, "dispatcher_started")
    with stage.fault("dispatcher replaced"):
        assert stage.system.processes.stop(name) == 0
        stage.system.begin_dispatcher(name)


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
        scene.rabbitmq.control("set_vm_memory_high_watermark", "0.000001")
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
        connection = psycopg2.connect(scene.stage.system.database_url)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        connection.close()


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
        simulator.set_faults(Faults(rates=rates, latency_ms=STEADY.latency_ms, jitter_ms=STEADY.jitter_ms))
        time.sleep(MOMENT)
        simulator.set_faults(STEADY)


def _outage(scene: Scene, mode: Mode) -> None:
    simulator = scene.stage.system.simulator
    with scene.stage.fault(f"provider: {mode}"):
        simulator.outage(mode)
        time.sleep(MOMENT)
        simulator.end_outage()
