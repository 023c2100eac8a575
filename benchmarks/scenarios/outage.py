"""A provider that errs, and then goes down: what has piled up by its return keeps nobody waiting who is urgent."""

import time
from datetime import timedelta

from benchmarks.figure import Figure, Report
from benchmarks.run import WARM_UP, Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from sandbox import deployment
from sandbox.simulator.control import Simulator
from sandbox.simulator.faults import Fault, Faults
from sandbox.simulator.outage import Mode

ERRORS = 0.3
LATENCY = 200
"""Milliseconds. With CONCURRENCY calls: 5 000 a second."""

CONCURRENCY = 1_000
URGENT = 100
BEFORE = 1.0
"""Seconds before the provider's return at which the urgent mailing is made."""


def measure(services: Services, scale: Scale) -> Report:
    simulator = deployment.start_simulator(services.processes, "--seed", "1")
    groups = WARM_UP | {"urgent": URGENT, "bench": scale.troubled}
    try:
        with (
            services.addresses(groups, provider_url=simulator.url) as addresses,
            deployed(services.processes, addresses, env={"DISPATCH_CONCURRENCY": str(CONCURRENCY)}) as running,
        ):
            figures = _outage(running, simulator, scale)
    finally:
        services.processes.kill("simulator")
    return Report(
        f"An outage of {scale.outage:.0f} s: {scale.troubled:,} messages, {ERRORS:.0%} of the calls before it failed",
        figures,
    )


def _outage(running: Deployment, simulator: Simulator, scale: Scale) -> list[Figure]:
    simulator.set_faults(Faults({Fault.SERVER_ERROR: ERRORS}, latency_ms=LATENCY))
    huge = running.create("bench", lasts=timedelta(days=1))
    running.wait(_HALF_CALLED, huge)
    simulator.outage(Mode.UNAVAILABLE)
    time.sleep(scale.outage - BEFORE)
    urgent = running.create("urgent", lasts=timedelta(minutes=10))
    time.sleep(BEFORE)
    [(waiting,)] = query(running.database_url, _WAITING, huge)
    simulator.set_faults(Faults(latency_ms=LATENCY))
    returned = time.time()
    simulator.end_outage()
    running.wait("finished_at is not null", urgent)
    [(last,)] = query(running.database_url, _LAST, urgent)
    [(failed,)] = query(running.database_url, _FAILED, huge)
    return [
        Figure("messages that waited for a rung, and were due or not", waiting, ""),
        Figure("from the provider's return to the last urgent message", last - returned, "s", most=5),
        Figure("messages that the outage has cost", failed, "", most=0),
    ]


_HALF_CALLED = """
    launched_at is not null and 2 * (
        select coalesce(sum(sent + retrying + failed), 0) from mailing_counters c where c.mailing_id = g.id) >= audience
"""
_WAITING = "select coalesce(sum(retrying), 0)::float from mailing_counters where mailing_id = %s"
_LAST = "select extract(epoch from max(sent_at))::float from messages where mailing_id = %s and status = 'sent'"
_FAILED = "select coalesce(sum(failed + unknown), 0)::float from mailing_counters where mailing_id = %s"
