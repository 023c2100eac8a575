"""How soon a message is sent when nothing else is going on."""

from datetime import timedelta

from benchmarks.figure import Figure, Report
from benchmarks.run import WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query
from shared import clock

MAILINGS = 60
GAP = timedelta(seconds=0.15)
PEOPLE = 20


def measure(services: Services, _scale: Scale) -> Report:
    """Small mailings, planned beforehand, one after the other."""
    with (
        services.addresses(WARM_UP | {"some": PEOPLE}) as addresses,
        deployed(services.processes, addresses) as running,
    ):
        first = clock.now() + timedelta(seconds=3)
        ids = [running.create("some", starts_at=first + number * GAP) for number in range(MAILINGS)]
        for mailing_id in ids:
            running.wait("finished_at is not null", mailing_id)
        [(waits,)] = query(addresses.database_url, _WAITS, ids)
    return Report(
        f"Latency: {MAILINGS} planned mailings to {PEOPLE} each, on their own",
        [
            Figure(f"from due to sent, p{percentile}", wait * 1000, "ms")
            for percentile, wait in zip((50, 95, 99), waits, strict=True)
        ],
    )


_WAITS = """
    select percentile_cont(array[0.5, 0.95, 0.99])
        within group (order by extract(epoch from sent_at - starts_at)::float)
    from messages m join mailings g on g.id = m.mailing_id where g.id = any(%s) and status = 'sent'
"""
