"""A provider that takes only so many calls a second and answers 429 to the others, which nobody has told us before."""

from benchmarks.figure import Figure, Report
from benchmarks.run import WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from sandbox import deployment
from sandbox.simulator.faults import Faults

TAKES = 50
LATENCY, JITTER = 100, 100
"""Of an answer, in milliseconds."""

SETTLED = 20.0
"""Seconds after which the pace has been found out."""

LADDER = "1s,4s"
"""The first rungs of the usual one, which takes too long for so few messages."""


def measure(services: Services, scale: Scale) -> Report:
    simulator = deployment.start_simulator(services.processes, "--seed", "1")
    try:
        with (
            services.addresses(WARM_UP | {"bench": scale.limited}, provider_url=simulator.url) as addresses,
            deployed(services.processes, addresses, dispatchers=2, env={"RETRY_LADDER": LADDER}) as running,
        ):
            simulator.set_faults(Faults(latency_ms=LATENCY, jitter_ms=JITTER, takes_per_second=TAKES, retry_after=1))
            mailing_id = running.create("bench")
            running.wait("finished_at is not null", mailing_id)
            [(sent, rate)] = query(addresses.database_url, _STEADY, mailing_id, SETTLED)
            refused = simulator.summary().faults.get("rate_limited", 0)
    finally:
        services.processes.kill("simulator")
    return Report(
        f"A provider that takes {TAKES} a second: {scale.limited:,} messages, two dispatchers",
        [
            Figure("messages that were sent", 100 * sent / scale.limited, "%", least=100),
            Figure(f"of the provider's rate, after {SETTLED:.0f} s", 100 * float(rate) / TAKES, "%", least=85),
            Figure("refusals, of the messages", 100 * refused / scale.limited, "%", most=10),
        ],
    )


_STEADY = """
    with sent as (select sent_at from messages where mailing_id = %s and status = 'sent'), bounds as (
        select min(sent_at) + make_interval(secs => %s) as low,
               percentile_disc(0.95) within group (order by sent_at) as high from sent
    )
    select count(*), coalesce(
        count(*) filter (where sent_at > low and sent_at <= high) / extract(epoch from max(high) - max(low)), 0)
    from sent, bounds
"""
