"""A provider that takes its time: what counts is how many calls one process keeps in flight."""

import time
from collections.abc import Iterator, Mapping
from math import log2

import requests

from benchmarks.figure import Figure, Report
from benchmarks.run import WARM_UP, Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, asking, query
from dispatcher_service.sending.pace import AFTER_REST
from sandbox import deployment
from sandbox.processes import free_port

LATENCY = 0.2
SPARE_ROUNDS, SETTLES = 3, 1.0
"""Each answer allows one more call (docs/adr/0025-pace-and-limits.md), so calls in flight double from round to round.
So many rounds more, and seconds, until there are as many as there may be."""
HANGING = 0.1
TIMEOUT = 2.0


def measure(services: Services, scale: Scale) -> Report:
    return Report("Slow provider: one dispatcher", [
        *_slow(services, scale.slow),
        *_hanging(services, scale.slow),
        *_many(services, scale.slow),
    ])  # fmt: skip


def _slow(services: Services, count: int) -> Iterator[Figure]:
    """200 ms for every call, 1 000 at a time."""
    concurrency = 1_000
    rate, _, memory = _run(services, count, LATENCY, {"DISPATCH_CONCURRENCY": str(concurrency)})
    yield Figure("messages/s, 200 ms, concurrency 1 000", rate, "1/s")
    yield Figure("of concurrency / latency", 100 * rate / (concurrency / LATENCY), "%", least=95)
    yield Figure("peak memory of the dispatcher", memory, "MB", most=120)


def _hanging(services: Services, count: int) -> Iterator[Figure]:
    """One call in ten is held until the time-out. The slots that these leave, used without a gap, are the measure."""
    concurrency = 1_000
    allowed = (1 - HANGING) * concurrency / ((1 - HANGING) * LATENCY + HANGING * TIMEOUT)
    env = {
        "DISPATCH_CONCURRENCY": str(concurrency),
        "PROVIDER_TIMEOUT": f"{TIMEOUT:g}",
        "RETRY_LADDER": "1h",  # beyond the end of this: first attempts only
    }
    rate, _, _ = _run(services, count, LATENCY, env, "--fault", f"hang={HANGING}", warm_up=False)
    yield Figure("messages/s, 10 % hang for 2 s", rate, "1/s")
    yield Figure("of what the remaining slots allow", 100 * rate / allowed, "%", least=80)


def _many(services: Services, count: int) -> Iterator[Figure]:
    """One second for every call, 4 000 at a time."""
    concurrency = 4_000
    rate, most_open, memory = _run(services, count, 1.0, {"DISPATCH_CONCURRENCY": str(concurrency)})
    yield Figure("calls in flight, 1 s, concurrency 4 000", most_open, "", least=3_900)
    yield Figure("messages/s, 1 s, concurrency 4 000", rate, "1/s")
    yield Figure("peak memory of the dispatcher, 4 000 calls", memory, "MB", most=120)


def _run(
    services: Services,
    count: int,
    latency: float,
    env: Mapping[str, str],
    *faults: str,
    warm_up: bool = True,
) -> tuple[float, float, float]:
    """The rate from when all calls are in flight, or half of all is sent, until the time of the 19th of 20; calls in
    flight; memory in MB."""
    rounds = log2(int(env["DISPATCH_CONCURRENCY"]) / AFTER_REST) + SPARE_ROUNDS
    metrics_port = free_port()
    simulator = deployment.start_simulator(
        services.processes, "--seed", "1", "--latency", f"{latency * 1000:g}", *faults
    )
    try:
        with (
            services.addresses(WARM_UP | {"bench": count}, provider_url=simulator.url) as addresses,
            deployed(
                services.processes, addresses, env={**env, "METRICS_PORT": str(metrics_port)}, warm_up=warm_up
            ) as running,
        ):
            mailing_id = running.create("bench")
            most_open = _watch(running, mailing_id, f"http://127.0.0.1:{metrics_port}/metrics")
            [(rate,)] = query(addresses.database_url, _STEADY, SETTLES + rounds * latency, mailing_id)
            return float(rate), most_open, running.memory()
    finally:
        services.processes.kill("simulator")


def _watch(running: Deployment, mailing_id: int, metrics_url: str) -> float:
    """Until all have had their attempt; the most calls that were in flight."""
    most = 0.0
    with requests.Session() as http, asking(running.database_url) as ask:
        http.trust_env = False
        while not ask(_ATTEMPTED, mailing_id)[0][0]:
            lines = http.get(metrics_url, timeout=5).text.splitlines()
            most = max(most, *(float(line.split()[1]) for line in lines if line.startswith(f"{CALLS_OPEN}{{")), 0.0)
            time.sleep(0.2)
    return most


CALLS_OPEN = "dispatcher_calls_open"
_ATTEMPTED = """
    select launched_at is not null and audience = (
        select coalesce(sum(sent + failed + unknown + expired + cancelled + retrying), 0)
        from mailing_counters c where c.mailing_id = g.id)
    from mailings g where id = %s
"""
_STEADY = """
    with sent as (select sent_at, mailing_id from messages where status = 'sent'), bounds as (
        select mailing_id,
               least(min(sent_at) + make_interval(secs => %s),
                     percentile_disc(0.5) within group (order by sent_at)) as low,
               percentile_disc(0.95) within group (order by sent_at) as high
        from sent where mailing_id = %s group by mailing_id
    )
    select count(*) / extract(epoch from max(high) - max(low))
    from sent join bounds using (mailing_id) where sent_at > low and sent_at <= high
"""
