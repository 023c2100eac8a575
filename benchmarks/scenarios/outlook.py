"""When a mailing says at half way that it will be done, and when it is: a steady provider, and one that changes."""

import time
from datetime import datetime

from benchmarks.figure import Figure, Report
from benchmarks.run import WARM_UP, Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from sandbox import deployment
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Faults

CONCURRENCY = 10
STEADY = (200,)
CHANGING = (100, 300, 200)
"""Milliseconds that an answer takes. With CONCURRENCY calls: 50 a second; 100, then 33, then 50. It changes when a
sixth and when a third of the messages are sent."""

_CHANGES = (1 / 6, 1 / 3)


def measure(services: Services, scale: Scale) -> Report:
    simulator = deployment.start_simulator(services.processes, "--seed", "1")
    try:
        with (
            services.addresses(WARM_UP | {"bench": scale.limited}, provider_url=simulator.url) as addresses,
            deployed(services.processes, addresses, env={"DISPATCH_CONCURRENCY": str(CONCURRENCY)}) as running,
        ):
            steady = _off(running, simulator, STEADY, scale.limited)
            changing = _off(running, simulator, CHANGING, scale.limited)
    finally:
        services.processes.kill("simulator")
    return Report(
        f"When {scale.limited:,} messages will be done, as told at half way",
        [
            Figure("off, of the time that it took: a steady provider", 100 * steady, "%", most=10),
            Figure("off, of the time that it took: one whose rate has changed twice", 100 * changing, "%", most=20),
        ],
    )


def _off(running: Deployment, simulator: Simulator, latencies: tuple[int, ...], messages: int) -> float:
    simulator.set_faults(Faults(latency_ms=latencies[0]))
    began = time.time()
    mailing_id = running.create("bench")
    for latency, part in zip(latencies[1:], _CHANGES, strict=False):
        running.wait(_sent(part * messages), mailing_id)
        simulator.set_faults(Faults(latency_ms=latency))
    running.wait(_sent(messages / 2), mailing_id)
    said = datetime.fromisoformat(str(running.mailing(mailing_id)["finishes_at"])).timestamp()
    running.wait("finished_at is not null", mailing_id)
    [(ended,)] = query(running.database_url, _LAST, mailing_id)
    return abs(said - float(ended)) / (float(ended) - began)


def _sent(number: float) -> str:
    return f"(select coalesce(sum(sent), 0) from mailing_counters c where c.mailing_id = g.id) >= {number:.0f}"


_LAST = "select extract(epoch from max(sent_at))::float from messages where mailing_id = %s and status = 'sent'"
