"""A soak: mailings all the time, and a random fault every few seconds. `python -m tests.faults.soak --minutes 15`.

At the end every message must be where it belongs, the ledger must balance, and the memory of what lived long be flat.
Prints a table; exits 0 when all is well.
"""

import argparse
import json
import random
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from notification_client import ApiClient
from sandbox import deployment
from sandbox.processes import free_port
from shared.domain.message import OPEN_STATES, MessageState
from tests.e2e.conftest import running
from tests.e2e.system import Place
from tests.faults.catalogue import CATALOGUE, KEPT_DAYS, RATES, STEADY, Scene
from tests.faults.memory import Course, Memory
from tests.faults.stage import DISPATCHER, HEALTHY_WITHIN, Accounts, Fault, Stage, every
from tests.faults.users import ALL, CLIENTS, FEW, MANY, POISONED, Kind, Users
from tests.faults.witness import Witness
from tests.support.rabbitmq import Private
from tests.support.rabbitmq import running as running_rabbitmq
from tests.support.waiting import patience
from tests.support.wall_clock import WallClock

WINDOW = 2.0
"""Seconds in which no more may be called than DISPATCH_RATE allows in them and one more: so much may come late."""

DISPATCHERS = 3
VETERANS = ("dispatcher-0", "api-0")
"""Are never killed: it is their memory that says most."""

SETTINGS: dict[str, Any] = {
    "DISPATCH_CONCURRENCY": "32",
    "CONSTANTS": json.dumps({
        "dispatcher_service.pipeline.worker.LEASE_MARGIN": 6.0,
        "dispatcher_service.pipeline.worker.OWN_MARGIN": 3.0,
        "dispatcher_service.leading.lead.SILENCE": 5.0,
        "dispatcher_service.leading.chores.drop_parts.DropParts.pause": 1.0,
    }),
    "DISPATCH_RATE": str(RATES[0]),
    "RETENTION_DAYS": str(KEPT_DAYS),
}  # fmt: skip
LONG_LIFE = 60.0

_BEGIN, _END = (f"<!-- the rows of the fault suite: {mark} -->" for mark in ("begin", "end"))


@dataclass(frozen=True)
class Report:
    """lost, repeated: messages by the kind of fault that is to blame. fastest: calls of messages a second, the most of
    them in a WINDOW."""

    seed: int
    seconds: float
    mailings: int
    messages: int
    faults: Sequence[Fault]
    accounts: Accounts
    lost: Mapping[str, int]
    repeated: Mapping[str, int]
    memory: Sequence[Course]
    bound: float  # seconds that a recovery may take on this machine, as busy as it was
    fastest: float

    @property
    def is_good(self) -> bool:
        return (
            not self.accounts.lost
            and not self.accounts.unexplained
            and self.worst(self.faults) <= self.bound
            and self.keeps_rate
            and all(course.is_flat for course in self.memory)
        )

    @property
    def keeps_rate(self) -> bool:
        return self.fastest * WINDOW <= RATES[0] * (WINDOW + 1)

    def worst(self, faults: Sequence[Fault]) -> float:
        return max((fault.healthy_after or 0.0 for fault in faults), default=0.0)

    def rows(self) -> Iterator[tuple[str, int, int, int, float]]:
        """By kind of fault, and of all: runs, messages lost and repeated, seconds of the worst recovery."""
        for kind in sorted({fault.kind for fault in self.faults} | self.repeated.keys() | self.lost.keys()):
            faults = [fault for fault in self.faults if fault.kind == kind]
            yield kind, len(faults), self.lost.get(kind, 0), self.repeated.get(kind, 0), self.worst(faults)
        total = sum(self.repeated.values())
        yield "all", len(self.faults), len(self.accounts.lost), total, self.worst(self.faults)

    def lines(self) -> Iterator[str]:
        yield f"{'fault':<32}{'runs':>6}{'lost':>6}{'repeated':>10}{'healthy within':>16}"
        for kind, runs, lost, repeated, worst in self.rows():
            yield f"{kind:<32}{runs:>6}{lost:>6}{repeated:>10}{worst:>14.1f} s"
        yield ""
        yield self.summary
        yield f"at the most {self.fastest:.0f} new messages a second: {'kept' if self.keeps_rate else 'TOO MANY'}"
        longest = {course.name: course for course in reversed(self.memory)}
        for course in [*longest.values(), *(course for course in self.memory if not course.is_flat)]:
            words = "flat" if course.is_flat else "GROWS"
            yield f"{course.name}: {words}, {course.early:.0f} MB, {course.late:.0f} MB after {course.seconds:.0f} s"

    def markdown(self) -> Iterator[str]:
        yield "| fault | runs | lost | repeated | healthy again within |"
        yield "|---|---:|---:|---:|---:|"
        for kind, runs, lost, repeated, worst in self.rows():
            yield f"| {kind} | {runs} | {lost} | {repeated} | {worst:.1f} s |"
        yield ""
        yield self.summary

    @property
    def summary(self) -> str:
        return (
            f"{self.mailings} mailings with {self.messages} messages in {self.seconds / 60:.1f} minutes; "
            f"{len(self.accounts.unexplained)} repeats without an answer that was lost; seed {self.seed}."
        )


def write_table(page: Path, report: Report) -> None:
    """Puts the figures into a page of Markdown, in the place of those that stand between its marks."""
    head, _, rest = page.read_text(encoding="utf-8").partition(f"{_BEGIN}\n")
    _, mark, foot = rest.partition(_END)
    assert mark, f"{page} has no marks for the table"
    page.write_text(f"{head}{_BEGIN}\n\n" + "\n".join(report.markdown()) + f"\n\n{_END}{foot}", encoding="utf-8")


def soak(rabbitmq: Private, directory: Path, seed: int, seconds: float, pause: float) -> Report:
    """For so many seconds, with a fault every `pause` seconds, or later where the service has not recovered by then.
    Raises AssertionError where a law is broken that holds in every run."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(TemporaryDirectory(prefix="notify-")))
        server_clock = stack.enter_context(WallClock())
        server = stack.enter_context(server_clock.processes(lambda *_: None))
        database_url = deployment.start_postgres(server, data_dir)
        broker_url = rabbitmq.vhost()
        place = Place(database_url, broker_url, directory)
        system = stack.enter_context(running(place, dispatchers=DISPATCHERS, module=DISPATCHER, **SETTINGS))
        witness = stack.enter_context(Witness(database_url, every=5.0))
        stage = Stage(system, witness, chance, server_clock)
        users = stack.enter_context(Users(system, _start_veterans(stage)))
        scene = Scene(stage, rabbitmq, broker_url, server, data_dir, server_clock)
        memory = Memory()
        _do_harm(scene, seconds, pause, memory)
        busy = patience(HEALTHY_WITHIN)
        mailings = users.stop()
        system.until(lambda: not witness.states().keys() & OPEN_STATES, "all is over", within=patience(120))
        messages = witness.messages()
        _assert_complete(messages, mailings)
        accounts = stage.accounts()
        return Report(
            seed=seed,
            seconds=seconds,
            mailings=len(mailings),
            messages=len(messages),
            faults=stage.faults,
            accounts=accounts,
            lost={"unknown": len(accounts.lost)} if accounts.lost else {},
            repeated=_blame(stage, accounts.repeated),
            memory=list(memory.courses(patience(LONG_LIFE, at_most=5 * LONG_LIFE))),  # the start of one does not count
            bound=busy,
            fastest=_fastest(one.first_at for one in system.simulator.received().values()),
        )


def _start_veterans(stage: Stage) -> ApiClient:
    system = stage.system
    system.fill(CLIENTS, tag=FEW)
    system.fill(MANY, tag=ALL)
    system.simulator.set_faults(STEADY)
    stage.start_reporter()
    stage.spared.add(VETERANS[0])
    system.start_dispatcher(VETERANS[0], FEEDS="no")  # or it would lead for good
    return ApiClient(
        deployment.start_api(system.processes, {**system.env, "API_PORT": str(free_port())}, name=VETERANS[1])
    )


def _do_harm(scene: Scene, seconds: float, pause: float, memory: Memory) -> None:
    stage, processes = scene.stage, scene.stage.system.processes
    names = (*VETERANS, *(f"dispatcher-{number + 1}" for number in range(DISPATCHERS)), "api", "reporter")
    weigh = every(1, lambda: memory.look({name: processes.pid(name) for name in names}))
    end = time.monotonic() + seconds
    next_at = time.monotonic() + pause
    while time.monotonic() < end:
        stage.look()
        weigh()
        if time.monotonic() >= next_at and stage.is_healthy:
            next_at = time.monotonic() + pause
            (act,) = stage.chance.choices(list(CATALOGUE), list(CATALOGUE.values()))
            act(scene)
        time.sleep(0.05)
    stage.until_healthy()


def _assert_complete(messages: Mapping[int, Any], mailings: Mapping[int, Kind]) -> None:
    """A 201 for a mailing means that its whole audience was dealt with; and that others cannot be sent costs nobody
    their message."""
    audiences = Counter(row.mailing_id for row in messages.values())
    short = [mailing_id for mailing_id, kind in mailings.items() if audiences[mailing_id] != kind.audience]
    assert not short, f"mailings without their whole audience: {short}"
    # Not of those whose 201 was lost: they may be of any kind. A class that is starved shows.
    ended = Counter(
        (str(row.status), kind.values.get("priority", "normal"))
        for row in messages.values()
        if (kind := mailings.get(row.mailing_id)) is not None and kind is not POISONED
    )
    assert {state for state, _ in ended} == {MessageState.SENT}, f"messages of mailings that can be sent: {ended}"


def _fastest(times: Iterable[float]) -> float:
    """Of these moments, how many a second there are in the WINDOW that has the most."""
    most, window = 0, deque[float]()
    for at in sorted(times):
        window.append(at)
        while window[0] < at - WINDOW:
            window.popleft()
        most = max(most, len(window))
    return most / WINDOW


def _blame(stage: Stage, repeated: Mapping[int, int]) -> Counter[str]:
    """How many repeats each kind of fault has led to."""
    blamed: Counter[str] = Counter()
    left = Counter(repeated)
    for answer in stage.witness.lost_answers():
        if left[answer.message_id]:
            left[answer.message_id] -= 1
            blamed[stage.culprit(answer)] += 1
    return blamed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--pause", type=float, default=5, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--table", type=Path, help="a page between whose marks the table is to stand")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with running_rabbitmq() as rabbitmq, TemporaryDirectory(prefix="soak-") as directory:
        if not isinstance(rabbitmq, Private):
            print("The RabbitMQ of TEST_BROKER_URL is not the tests' own: leave it unset.", file=sys.stderr)
            return 2
        report = soak(rabbitmq, Path(directory), options.seed, options.minutes * 60, options.pause)
    print("\n".join(report.lines()))
    if options.table:
        write_table(options.table, report)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
