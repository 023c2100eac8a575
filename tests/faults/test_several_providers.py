"""Three providers, one flapping, one silent, one fine: nothing is lost, and nobody gets what another may have taken."""

import random
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from sandbox.deployment import start_simulator
from sandbox.processes import free_port
from sandbox.simulator.control import Received, Simulator
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode
from shared.domain.message import MessageState
from tests.e2e.conftest import StartSystem
from tests.e2e.system import is_over
from tests.support.waiting import patience

MESSAGES = 3_000
FINE, FLAPPING, SILENT = "fine", "flapping", "silent"
LEASE = 6.0


@pytest.fixture
def providers_file(tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """It names three on free ports."""
    ports = {name: free_port() for name in (FINE, FLAPPING, SILENT)}
    tables = [
        f'[providers.{name}]\npreset = "seed"\nurl = "http://127.0.0.1:{port}/v1/send/{{id}}"\n'
        'secrets = { token = "env:GATEWAY_TOKEN" }\n'
        for name, port in ports.items()
    ]
    file = tmp_path / "providers.toml"
    file.write_text("\n".join(tables))
    return file, ports


@pytest.mark.timeout(400)
def test_one_flapping_one_silent_one_fine(
    start_system: StartSystem, providers_file: tuple[Path, dict[str, int]], chance: random.Random
) -> None:
    """Dispatchers are killed meanwhile. Each provider's own record says what it was given."""
    file, ports = providers_file
    system = start_system(
        "table", "--port", str(ports[FINE]), dispatchers=3,
        PROVIDERS_FILE=str(file), PROVIDER_URL="", GATEWAY_TOKEN="t0ken",
        module="tests.support.faulty_dispatcher", DISPATCH_CONCURRENCY="12",
        CONSTANTS=f'{{"dispatcher_service.pipeline.worker.LEASE_MARGIN": {LEASE}}}',
    )  # fmt: skip
    providers = {FINE: system.simulator}
    for name in (FLAPPING, SILENT):
        providers[name] = start_simulator(system.processes, port=ports[name], name=name)
    for one in providers.values():
        one.set_faults(Faults(latency_ms=50, jitter_ms=50))
    providers[FLAPPING].set_faults(Faults(latency_ms=50, rates={Fault.ACCEPT_RESET: 0.2}))
    providers[SILENT].set_faults(Faults(rates={Fault.ACCEPT_HANG: 1.0}, max_faults_per_id=1))
    system.expect("breaker_opened", "provider_unreachable", "provider_share_falls", "results_late")
    system.fill(MESSAGES)
    since = time.time()
    mailing_id = system.mail(lasts=300)
    for number in range(6):
        providers[FLAPPING].outage((Mode.REFUSE, Mode.UNAVAILABLE)[number % 2], seconds=2)
        time.sleep(2 + chance.random())
        victim = chance.choice(system.dispatchers)
        system.processes.kill(victim)
        system.start_dispatcher(f"after-{victim}-{number}")
        providers[FLAPPING].end_outage()
    system.until(lambda: is_over(system.figures(mailing_id)), "all of it has ended", within=patience(150))

    received = {name: _of(one) for name, one in providers.items()}
    accepted = {name: one.accepted() for name, one in providers.items()}
    messages = system.messages(mailing_id)
    assert len(messages) == MESSAGES
    for message_id, message in messages.items():
        takers = [name for name in providers if message_id in accepted[name]]
        assert takers, f"{message_id} is {message['status']} and was given to {_whom(received, message_id)}"
        assert len(takers) == 1, f"{message_id} was taken by {takers}"
        assert message["status"] in (MessageState.SENT, MessageState.UNKNOWN)
    counts = Counter(name for name, those in accepted.items() for _ in those)
    assert counts[FINE] > MESSAGES / 3
    assert counts.keys() == providers.keys(), counts
    # The rest may wait for nobody but a killed dispatcher's lease.
    of_fine = sorted(one.first_at for one in accepted[FINE].values())[: -MESSAGES // 20]
    longest = max(after - before for before, after in pairwise(of_fine))
    assert longest < patience(1.5), f"the fine one stood still for {longest} s of {of_fine[-1] - since}"


def _of(simulator: Simulator) -> dict[int, Received]:
    return simulator.received()


def _whom(received: dict[str, dict[int, Received]], message_id: int) -> list[str]:
    return [name for name, those in received.items() if message_id in those]
