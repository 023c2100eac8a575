"""The stage on which things break: a system, its witness, and the hands that kill and start again.

A fault has ended when what was killed has been started again, what was stopped runs again. From then on the service has
HEALTHY_WITHIN seconds until it says that it is ready and messages reach the provider.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from sandbox.processes import free_port
from shared import clock
from shared.domain.message import OPEN_STATES, Error, MessageState
from tests.e2e.system import System
from tests.faults.witness import LostAnswer, Witness
from tests.support.waiting import patience
from tests.support.wall_clock import WallClock

DISPATCHER = "tests.support.faulty_dispatcher"
HEALTHY_WITHIN = 5.0

WORKER_KILLED = "worker_ended"
"""How the API complains of it."""


@dataclass
class Fault:
    """ended_at: Unix time. shown_at: what the database's clock showed when it began. pid: of the dispatcher that was
    killed or frozen. healthy_after: seconds from the end on, once that is known."""

    kind: str
    shown_at: float
    ended_at: float
    pid: int | None = None
    healthy_after: float | None = None


@dataclass(frozen=True)
class Accounts:
    """What the service says against what the provider did. lost: ids that the service did not send, or says it did and
    did not. repeated: those that the provider accepted more than once, and how often beyond that. unexplained: those of
    them whose answers did not get lost so often, or whose attempts do not show it.
    """

    lost: frozenset[int]
    repeated: Mapping[int, int]
    unexplained: frozenset[int]


class Stage:
    def __init__(
        self, system: System, witness: Witness, chance: random.Random, server_clock: WallClock | None = None
    ) -> None:
        """server_clock: the database's, if it is not ours."""
        self._server_clock = server_clock or clock
        self.system, self.witness, self.chance = system, witness, chance
        self.faults: list[Fault] = []
        self.spared: set[str] = set()  # dispatchers that nobody kills
        self._reporter: dict[str, str] = {}
        system.expect(WORKER_KILLED)

    # ---------------------------------------------------------------- what can be killed

    def start_reporter(self, **settings: str) -> None:
        self._reporter = {**self.system.env, **settings, "METRICS_PORT": str(free_port())}
        self.system.processes.start("reporter", "dispatcher_service.reporter", self._reporter)

    def any_dispatcher(self) -> str:
        return self.chance.choice(sorted(set(self.system.dispatchers) - self.spared))

    def kill_dispatcher(self) -> None:
        self._replace(self.any_dispatcher())

    def kill_leader(self) -> None:
        """Of the dispatchers, the one that leads the feeder."""
        self._replace(self.leader())

    def kill_api(self) -> None:
        """All of it, as a container ends with its first process."""
        with self.fault("API killed"):
            self.system.processes.kill("api")
            self.system.begin_api()

    def kill_api_master(self) -> None:
        """It alone: its workers see that it is gone, and leave the port to the next one."""
        processes = self.system.processes
        workers = psutil.Process(processes.pid("api")).children()
        with self.fault("API master killed"):
            processes.send("api", signal.SIGKILL)
            processes.wait("api", 10)
            _, alive = psutil.wait_procs(workers, 60)
            assert not alive, "workers without a master"
            self.system.begin_api()

    def kill_api_worker(self) -> None:
        """Its master starts another one."""
        master = psutil.Process(self.system.processes.pid("api"))
        workers = self.system.until(master.children, "the API has workers", within=patience(30))
        with self.fault("API worker killed"), suppress(psutil.NoSuchProcess):
            self.chance.choice(sorted(workers, key=lambda worker: worker.pid)).kill()

    def kill_reporter(self) -> None:
        with self.fault("reporter killed"):
            self.system.processes.kill("reporter")
            self.system.processes.start("reporter", "dispatcher_service.reporter", self._reporter)

    @contextmanager
    def frozen(self, name: str, kind: str = "dispatcher frozen") -> Iterator[None]:
        """A dispatcher that is held for as long as the block lasts, and may lose its leases."""
        with self.fault(kind, self.pid(name)):
            self.system.processes.send(name, signal.SIGSTOP)
            try:
                yield
            finally:
                self.system.processes.send(name, signal.SIGCONT)

    def leader(self) -> str:
        """The name of the dispatcher that leads the feeder; waits until there is one."""

        def look() -> str | None:
            pid = self.witness.leader()
            return next((name for name in self.system.dispatchers if self.pid(name) == pid), None)

        return self.system.until(look, "there is a leader") or ""

    def pid(self, name: str) -> int:
        return self.system.processes.pid(name)

    def _replace(self, name: str) -> None:
        pid = self.pid(name)
        with self.fault("feeder leader killed" if pid == self.witness.leader() else "dispatcher killed", pid):
            self.system.processes.kill(name)
            self.system.begin_dispatcher(name)

    # ---------------------------------------------------------------- faults and recovery

    @contextmanager
    def fault(self, kind: str, pid: int | None = None) -> Iterator[None]:
        """The fault lasts as long as the block. pid: of the dispatcher that may lose its leases by it."""
        shown_at = self._server_clock.now().timestamp()
        try:
            yield
        finally:
            self.faults.append(Fault(kind, shown_at, clock.now().timestamp(), pid))

    def culprit(self, answer: LostAnswer) -> str:
        """The kind of the fault that is to blame for it: where a lease was lost, the last one that befell the
        dispatcher, else the last one of all."""
        before = [fault for fault in self.faults if fault.shown_at <= answer.lost_at]
        if answer.error is Error.LEASE_LOST:
            before = [fault for fault in before if fault.pid == answer.pid]
        return before[-1].kind if before else "none"

    def look(self) -> None:
        """Writes down for the faults that are over whether the service has recovered."""
        waiting = [fault for fault in self.faults if fault.healthy_after is None]
        if waiting and self.system.api.ready():
            accepted_at = self.system.simulator.summary().last_accepted_at or 0.0
            for fault in waiting:
                if accepted_at > fault.ended_at:
                    fault.healthy_after = clock.now().timestamp() - fault.ended_at

    @property
    def is_healthy(self) -> bool:
        return all(fault.healthy_after is not None for fault in self.faults)

    def until_healthy(self) -> None:
        """Waits; there must be something to send. Busy machines are slow, so it waits for twice the time, and more."""

        def look() -> bool:
            self.look()
            return self.is_healthy

        self.system.until(look, "the service is healthy again", within=patience(2 * HEALTHY_WITHIN))

    def worst(self, kind: str | None = None) -> float:
        """The longest recovery in seconds, of all faults or of one kind; 0 where there was none."""
        return max((f.healthy_after or 0.0 for f in self.faults if kind in (None, f.kind)), default=0.0)

    # ---------------------------------------------------------------- accounts

    def accounts(self) -> Accounts:
        """Once everything is over. Also holds what must be true in every run: the laws of the witness, no two attempts
        of one message at a time, no request that breaks the provider's contract, no lease lost but by the dead."""
        self.witness.testify()
        summary = self.system.simulator.summary()
        assert summary.overlapping == 0, "two requests for one message at a time"
        assert summary.broken == {}, "requests that break the provider's contract"
        dead = {fault.pid for fault in self.faults}
        alive = [lease for lease in self.witness.lost_leases() if lease.pid not in dead]
        assert not alive, f"leases lost by dispatchers that were neither killed nor frozen: {alive[:5]}"
        messages, accepted = self.witness.messages(), self.system.simulator.accepted()
        assert self.system.simulator.received().keys() <= messages.keys(), "the provider received what is no message"
        answers = Counter(answer.message_id for answer in self.witness.lost_answers())
        repeated = {message_id: one.count - 1 for message_id, one in accepted.items() if one.count > 1}
        unexplained = {
            message_id
            for message_id, number in repeated.items()
            if number > answers[message_id] or number >= messages[message_id].attempts
        }
        return Accounts(frozenset(_lost(messages, accepted.keys())), repeated, frozenset(unexplained))


def _lost(messages: Mapping[int, Any], accepted: Iterable[int]) -> set[int]:
    sent = {message_id for message_id, row in messages.items() if row.status == MessageState.SENT}
    not_over = {message_id for message_id, row in messages.items() if row.status in OPEN_STATES}
    return (sent ^ set(accepted)) | not_over


def every(seconds: float, act: Callable[[], object]) -> Callable[[], None]:
    """A function that calls `act`, but not more often than that."""
    next_at = time.monotonic()

    def call() -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + seconds
            act()

    return call
