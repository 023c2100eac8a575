"""A huge mailing runs; one with a near end is not to wait for it."""

import time
from datetime import timedelta

from benchmarks.figure import Figure, Lines, Report
from benchmarks.run import WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query

URGENT = 100
MOMENTS = (0.5, 2.0, 5.0)
"""Seconds after the creation of the huge one: while it is launched, and later."""


def measure(services: Services, scale: Scale) -> Report:
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
