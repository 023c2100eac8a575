"""`kill -9`, at random moments and at chosen points: nothing is lost, and only what nobody can know is repeated."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from dispatcher_service.pipeline.recorder import RECORD_ROWS
from notification_client import ApiError
from sandbox.simulator.faults import Fault, Faults
from shared.domain.message import OPEN_STATES, MessageState
from tests.e2e.conftest import StartSystem
from tests.e2e.system import System, is_over, with_status
from tests.faults.stage import DISPATCHER, Stage, every
from tests.faults.witness import Witness
from tests.support.faulty_dispatcher import DIES
from tests.support.mailbox import Mailbox
from tests.support.waiting import patience

MESSAGES = 20_000
DISPATCHERS = 3
CALLS = 64
PACE = Faults(latency_ms=150, jitter_ms=150)

KILLS = {
    Stage.kill_dispatcher: 12,
    Stage.kill_leader: 8,
    Stage.kill_api_worker: 4,
    Stage.kill_api: 3,
    Stage.kill_reporter: 3,
}
LONGEST_PAUSE = 1.2
"""Seconds between two of them; half as long on average: some hit what the last one has not yet recovered from."""

SHORT_LEASE = {"CONSTANTS": json.dumps({"dispatcher_service.pipeline.worker.LEASE_MARGIN": 4.0})}


@pytest.mark.timeout(600)
def test_kills_at_random_moments(start_system: StartSystem, chance: random.Random) -> None:
    """30 of them while 20 000 messages go out. Users go on creating mailings as well as they can."""
    system = start_system(
        "rabbitmq", dispatchers=DISPATCHERS, module=DISPATCHER, DISPATCH_CONCURRENCY=str(CALLS), **SHORT_LEASE
    )
    system.fill(MESSAGES, tag="many")
    system.fill(20, tag="few")
    system.simulator.set_faults(PACE)
    with Witness(system.database_url) as witness, Mailbox() as mailbox:
        stage = Stage(system, witness, chance)
        stage.start_reporter(
            SMTP_URL=f"smtp://127.0.0.1:{mailbox.port}", REPORT_AT="00:00", REPORT_FROM="a@b.c", REPORT_TO="d@e.f"
        )
        mailings = [system.mail(tags=["many"])]
        user = every(2, lambda: mailings.extend(_mail_a_few(system)))
        for act in _shuffled(chance):
            pause_until = time.monotonic() + chance.uniform(0, LONGEST_PAUSE)
            while time.monotonic() < pause_until:
                user()
                stage.look()
                time.sleep(0.05)
            act(stage)
        assert witness.states().keys() & OPEN_STATES, "all was sent before the last kill"
        stage.until_healthy()
        stage.kill_api_master()
        system.until(system.api.ready, "the API is back", within=patience(30))
        for mailing_id in mailings:
            system.until_figures(mailing_id, is_over, "every message in a final state", within=patience(60))
            assert system.figures(mailing_id)["sent"] == (MESSAGES if mailing_id == mailings[0] else 20)

        accounts = stage.accounts()
        print(
            f"kills={len(stage.faults)} mailings={len(mailings)} lost={len(accounts.lost)} "
            f"repeated={len(accounts.repeated)} unexplained={len(accounts.unexplained)} "
            f"worst_recovery={stage.worst():.1f} ledger_looks={witness.looks}"
        )
        assert not accounts.lost
        assert not accounts.unexplained, "repeated though the provider's answer had been written down"
        assert len(accounts.repeated) <= sum(1 for fault in stage.faults if fault.pid) * (CALLS + RECORD_ROWS), (
            "not only what had no answer written down"
        )
        assert len(stage.faults) > sum(KILLS.values())
        assert witness.looks > 0


def _shuffled(chance: random.Random) -> Sequence[Callable[[Stage], None]]:
    acts = [act for act, count in KILLS.items() for _ in range(count)]
    chance.shuffle(acts)
    return acts


def _mail_a_few(system: System) -> Iterator[int]:
    """Only a mailing that the API has confirmed is promised."""
    with suppress(ApiError):  # it is down, or was killed before it could answer
        yield system.mail(tags=["few"])


# ---------------------------------------------------------------- at chosen points

FEW = 10

AT_A_POINT = {
    "CONSTANTS": json.dumps({
        "dispatcher_service.leading.chores.rescue_leases.RESCUE_AFTER": 0.0,
        "dispatcher_service.pipeline.worker.LEASE_MARGIN": 15.0,
        # So that a mailing is claimed at once: in one job, whatever pace was seen before, and with room for all of it.
        "dispatcher_service.leading.jobs.LEAST": FEW,
        "dispatcher_service.sending.pace.FIRST_CALLS": FEW,
    }),
    "RETRY_LADDER": "1s",
    "DISPATCH_CONCURRENCY": str(4 * FEW),
}  # fmt: skip
LONG = 60.0
"""Seconds, after which every lease, every grace and every job of a table has run out."""


class Point(NamedTuple):
    """name: as in `faulty_dispatcher`. waits: what the dead one held comes back only after a while. lease_lost: it dies
    with claims of its own. may_repeat: it dies with answers that nobody else knows. calling: it dies with calls that
    have begun, of which some may not have left it yet. spared: the provider has served it nothing before, so that a
    failure spends no attempt."""

    name: str
    waits: bool = False
    lease_lost: bool = False
    may_repeat: bool = False
    calling: bool = False
    spared: bool = False

    @property
    def retries(self) -> bool:
        """Whether it is reached only by messages that the provider has refused once."""
        return self.name.startswith("retry")


POINTS = {
    "rabbitmq": [
        Point("feed-before-publish", waits=True),
        Point("feed-after-confirm"),
        Point("claim-before-commit"),
        Point("claim-after-commit", waits=True, lease_lost=True),
        Point("call-before-record", waits=True, lease_lost=True, may_repeat=True),
        Point("record-before-commit", waits=True, lease_lost=True, may_repeat=True),
        Point("record-after-commit"),
        Point("retry-before-publish", waits=True, spared=True),
        Point("retry-after-confirm"),
        Point("before-ack", waits=True, lease_lost=True, calling=True),  # once the calls have begun
        Point("after-ack", waits=True, lease_lost=True, calling=True),
        Point("launch-before-commit"),  # the last: it leaves no messages of which the next one could know the ids
    ],
    "table": [
        Point("claim-before-commit", waits=True),
        Point("retry-after-confirm", waits=True),
        Point("before-ack", waits=True, lease_lost=True, calling=True),
    ],
}


@pytest.mark.timeout(600)
def test_kills_at_chosen_points(start_system: StartSystem, broker: str, chance: random.Random) -> None:
    """A dispatcher dies at the point; the next one brings the mailing to its end, and dies at the next point with the
    next mailing."""
    system = start_system(broker, dispatchers=0, module=DISPATCHER, **AT_A_POINT)
    system.fill(FEW)
    with Witness(system.database_url) as witness:
        stage = Stage(system, witness, chance)
        death: Death | None = None
        for number, point in enumerate(POINTS[broker], start=1):
            name, messages = f"victim-{number}", FEW if point.name.endswith("commit") else 1
            system.begin_dispatcher(name, FAULT_POINT=f"{point.name}:{messages}", SPARED_UNTIL=str(_last_id(witness)))
            if death:
                _check(stage, death)
            death = _die(stage, name, point)
        system.begin_dispatcher("heir")
        assert death
        _check(stage, death)
        assert not stage.witness.states().keys() & OPEN_STATES


@dataclass(frozen=True)
class Death:
    """had: the messages that the victim had in hand. leases: how many had been lost before."""

    point: Point
    mailing_id: int
    had: set[int]
    leases: int


def _die(stage: Stage, name: str, point: Point) -> Death:
    system, witness = stage.system, stage.witness
    refused_once = Faults(rates={Fault.SERVER_ERROR: 1.0}, max_faults_per_id=1, latency_ms=50)
    system.simulator.set_faults(refused_once if point.retries else Faults(latency_ms=50))
    leases = len(witness.lost_leases())
    mailing_id = system.mail()
    assert system.processes.wait(name, patience(30)) == -signal.SIGKILL
    (words,) = (line for line in system.processes.output(name) if line.startswith(DIES))
    if point.waits:
        witness.pass_time(LONG)
    return Death(point, mailing_id, set(json.loads(words.removeprefix(DIES))), leases)


def _check(stage: Stage, death: Death) -> None:
    """The mailing comes to its end, and the books show what happened at the point, and nothing else."""
    point, system = death.point, stage.system
    messages = system.until_over(death.mailing_id, within=patience(30))
    assert with_status(messages, MessageState.SENT) == messages.keys(), point
    assert len(messages) == FEW
    received = system.received(death.mailing_id)
    accepted = {message_id: one.count for message_id, one in system.simulator.accepted().items()}
    repeated = {message_id for message_id in messages if accepted[message_id] > 1}
    leases = {lease.message_id for lease in stage.witness.lost_leases()[death.leases :]}
    if point.may_repeat:
        assert death.had <= repeated <= leases, point
        assert {accepted[message_id] for message_id in messages} <= {1, 2}, point
    elif point.calling:
        assert repeated <= death.had == leases, point
        assert {accepted[message_id] for message_id in messages} <= {1, 2}, point
    else:
        assert not repeated, point
    assert leases >= death.had if point.lease_lost else not leases, point
    calls = 1 + point.retries
    for message_id, message in messages.items():
        assert message["calls"] == calls + (message_id in leases), (point, message)
        assert message["attempts"] == message["calls"] - point.spared, (point, message)
        assert received[message_id].count == calls + (message_id in repeated), (point, message)
    stage.witness.testify()


def _last_id(witness: Witness) -> int:
    return max(witness.messages(), default=0)
