"""A huge mailing runs: one with a near end is not to wait for it, nor one that ends later for its end."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from benchmarks.figure import Figure, Lines, Report
from benchmarks.run import WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from sandbox import deployment

URGENT = 100
MOMENTS = (0.5, 2.0, 5.0)
"""Seconds after the creation of the huge one: while it is launched, and later."""


LATENCY, CALLS = 0.1, 64
"""Of a provider that is slower than we are: 640 messages a second."""

LATER, FIRST = 8_000, 20
"""Messages of the mailing that ends later, and so many of them are to go out soon."""

ALONE, BESIDE = (4.0, 10.0), (1.0, 11.0)
"""Seconds between which the rate of the huge one is measured: since it was made, and since the other one was."""


def measure(services: Services, scale: Scale) -> Report:
    urgent = _urgent(services, scale)
    return replace(urgent, figures=[*urgent.figures, *_later(services, scale)])


def _later(services: Services, scale: Scale) -> Iterator[Figure]:
    simulator = deployment.start_simulator(services.processes, "--seed", "1", "--latency", f"{LATENCY * 1000:g}")
    groups = WARM_UP | {"later": LATER, "bench": scale.beside}
    env = {"DISPATCH_CONCURRENCY": str(CALLS)}
    try:
        with (
            services.addresses(groups, provider_url=simulator.url) as addresses,
            deployed(services.processes, addresses, env=env) as running,
        ):
            began = time.time()
            huge = running.create("bench", lasts=timedelta(hours=6))
            time.sleep(max(0.0, began + ALONE[1] - time.time()))
            created = time.time()
            later = running.create("later", lasts=timedelta(hours=12))
            time.sleep(max(0.0, created + BESIDE[1] - time.time()))
            running.cancel(huge)
            time.sleep(1.0)  # what is on the wire arrives, and is written
            rates = [
                query(addresses.database_url, _SENT_BETWEEN, huge, since + low, since + high)[0][0] / (high - low)
                for since, (low, high) in ((began, ALONE), (created, BESIDE))
            ]
            waits = [moment - created for (moment,) in query(addresses.database_url, _FIRST_SENT, later, FIRST)]
    finally:
        services.processes.kill("simulator")
    yield Figure(f"the first message of one that ends later, {CALLS / LATENCY:.0f}/s", waits[0], "s", most=5)
    yield Figure(f"the {FIRST}th of them", waits[FIRST - 1], "s", most=10)
    yield Figure("the huge one beside it / alone", rates[1] / rates[0], "", least=0.88)


_SENT_BETWEEN = """
    select count(*)::float from messages
    where mailing_id = %s and status = 'sent' and sent_at between to_timestamp(%s) and to_timestamp(%s)
"""
_FIRST_SENT = """
    select extract(epoch from sent_at)::float from messages
    where mailing_id = %s and status = 'sent' order by sent_at limit %s
"""


def _urgent(services: Services, scale: Scale) -> Report:
    groups = WARM_UP | {f"urgent-{number}": URGENT for number in range(len(MOMENTS))} | {"bench": scale.running}
    with services.addresses(groups) as addresses, deployed(services.processes, addresses) as running:
        started = time.time()
        huge = running.create("bench", lasts=timedelta(hours=6))
        waits = []
        for number, moment in enumerate(MOMENTS):
            time.sleep(max(0.0, started + moment - time.time()))
            created = time.time()
            urgent = running.create(f"urgent-{number}", lasts=timedelta(minutes=10))
            running.wait("finished_at is not null", urgent)
            [(last,)] = query(addresses.database_url, _LAST, urgent)
            waits.append(last - created)
        [(over,)] = query(addresses.database_url, "select finished_at is not null from mailings where id = %s", huge)
        running.wait("finished_at is not null", huge)
        rates = query(addresses.database_url, _RATES, started, huge)
        memory = running.memory()
    figures = [
        Figure(f"urgent one created after {moment:g} s, until its last is sent", wait, "s", most=3)
        for moment, wait in zip(MOMENTS, waits, strict=True)
    ]
    if over:
        figures.append(Figure("the huge one was over too early for this to mean anything", 1, "", most=0))
    figures.append(Figure("peak memory of the dispatcher", memory, "MB", most=120))
    return Report(
        f"Fairness: {URGENT} urgent messages while a mailing of {scale.running:,} runs",
        figures,
        [Lines("running", "The huge mailing beside the urgent ones", "seconds since its creation", "messages/s",
               {f"{scale.running:,} messages": [(float(second), float(sent)) for second, sent in rates]})],
    )  # fmt: skip


_LAST = "select extract(epoch from max(sent_at))::float from messages where mailing_id = %s and status = 'sent'"
_RATES = """
    select floor(extract(epoch from sent_at) - %s) as second, count(*)
    from messages where mailing_id = %s and status = 'sent' group by second order by second
"""
