"""What a list of suppressed phones costs a mailing to others: beside a deployment without one, in turn."""

from statistics import median

from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import WARM_UP, Deployment, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query

MOST = 1_000_000
WITHOUT, WITH = "without a list", "with a list"


def measure(services: Services, scale: Scale) -> Report:
    groups, listed = WARM_UP | {"bench": scale.throughput, "listed": scale.grow_few}, min(scale.searched, MOST)
    rates: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    with (
        services.addresses(groups) as plain,
        services.addresses(groups) as suppressing,
    ):
        query(suppressing.database_url, _LIST, listed)
        query(suppressing.database_url, _FLAG)
        with (
            deployed(services.processes, plain, api="api-plain") as one,
            deployed(services.processes, suppressing, api="api-listed") as other,
        ):
            in_turn: list[tuple[str, Deployment]] = [(WITHOUT, one), (WITH, other)]
            for _ in range(2 * scale.repetitions):
                for name, deployment in in_turn:
                    rates[name].append(deployment.send("bench").rate)
                in_turn.reverse()  # whoever comes second finds the machine as the first has left it
            skipped = other.create("listed")
            other.wait("finished_at is not null", skipped)
            [(left_out,)] = query(suppressing.database_url, _SKIPPED, skipped)
    return Report(
        f"Suppressed phones: a mailing of {scale.throughput:,} beside a list of {listed:,}",
        [
            *(median_of(f"messages/s, {name}", some, "1/s") for name, some in rates.items()),
            Figure("with / without", median(rates[WITH]) / median(rates[WITHOUT]), "", least=0.98),
            Figure(
                f"of {scale.grow_few:,} who are on the list, skipped",
                left_out,
                "",
                least=scale.grow_few,
                most=scale.grow_few,
            ),
        ],
    )


_LIST = """
    insert into suppressions (digest, key_version) select sha256(cast(cast(n as text) as bytea)), 1
    from generate_series(1, %s) n
"""
_FLAG = """
    update clients c set suppression_id = numbered.number
    from (select id, row_number() over (order by id) as number from clients where tag = 'listed') numbered
    where numbered.id = c.id
"""
_SKIPPED = "select count(*) from messages where mailing_id = %s and status = 'skipped' and error = 'opted_out'"
