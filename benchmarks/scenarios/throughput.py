"""How many messages per second, and what each of them costs, beside the ceiling, in turn."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks import calls, ceiling, peers
from benchmarks.figure import Bars, Figure, Report, median_of
from benchmarks.run import TOKEN, WARM_UP, Run, TooSlow, costs_of, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services

RABBITMQ, TABLE, TWO = "RabbitMQ", "table broker", "two dispatchers"
CEILING = "ceiling"

COSTS = ("dispatcher", "api", "postgres", "rabbitmq")
"""Processes whose CPU time a message costs; the provider's is not ours."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """run: the rate of one repetition, and what it used. may_hang: one that does not end is left out, and counted."""

    name: str
    run: Callable[[Services, int], Run]
    may_hang: bool = False


def measure(services: Services, scale: Scale) -> Report:
    pipelines = [
        Pipeline(CEILING, _ceiling),
        Pipeline(RABBITMQ, _ours()),
        Pipeline(TWO, _ours(dispatchers=2)),
        Pipeline(TABLE, _ours(table=True)),
        *(Pipeline(peer.name, peer.run, may_hang=True) for peer in peers.peers()),
    ]
    runs: dict[str, list[Run]] = {pipeline.name: [] for pipeline in pipelines}
    hung: Counter[str] = Counter()
    bare = []
    for _ in range(scale.repetitions):  # in turn, so that a noisy minute hits all of them
        bare.append(calls.rate(services.provider_url, scale.throughput, token=TOKEN))
        for pipeline in pipelines:
            try:
                runs[pipeline.name].append(pipeline.run(services, scale.throughput))
            except TooSlow as error:
                if not pipeline.may_hang:
                    raise
                print(error, file=sys.stderr)
                hung[pipeline.name] += 1
    ended = {name: some for name, some in runs.items() if some}
    return Report(
        f"Throughput: a mailing of {scale.throughput:,} to a provider that answers at once",
        [*_figures(ended, bare), *_hung(hung, scale.repetitions)],
        list(_plots(ended)),
    )


def _ours(*, dispatchers: int = 1, table: bool = False) -> Callable[[Services, int], Run]:
    def run(services: Services, count: int) -> Run:
        with (
            services.addresses(WARM_UP | {"bench": count}, table=table) as addresses,
            deployed(services.processes, addresses, dispatchers=dispatchers) as deployment,
        ):
            return deployment.send("bench", services.pids)

    return run


def _ceiling(services: Services, count: int) -> Run:
    with services.addresses(None) as addresses:
        ceiling.prepare(addresses, max(count, ceiling.WARM_UP))
        env = {
            "DATABASE_URL": addresses.database_url,
            "BROKER_URL": addresses.broker_url,
            "PROVIDER_URL": addresses.provider_url,
        }
        services.processes.start("ceiling", "benchmarks.ceiling", env)
        try:
            services.processes.wait_line("ceiling", "^ready$")
            pids = {name: [pid] for name, pid in services.pids.items()}
            pids["dispatcher"] = [services.processes.pid("ceiling")]
            ceiling.send(addresses, ceiling.WARM_UP, {})
            return ceiling.send(addresses, count, pids)
        finally:
            services.processes.kill("ceiling")


def _figures(runs: Mapping[str, list[Run]], bare: list[float]) -> Iterator[Figure]:
    rates = {name: [run.rate for run in some] for name, some in runs.items()}
    yield median_of("calls/s of a bare libcurl loop", bare, "1/s")
    for name, some in rates.items():
        yield median_of(f"messages/s, {name}", some, "1/s")
    yield Figure("RabbitMQ / ceiling", median(rates[RABBITMQ]) / median(rates[CEILING]), "", least=0.75)
    yield Figure("table broker / RabbitMQ", median(rates[TABLE]) / median(rates[RABBITMQ]), "", least=0.8)
    yield Figure("two dispatchers / one", median(rates[TWO]) / median(rates[RABBITMQ]), "", least=0.95)
    yield Figure("two dispatchers / ceiling", median(rates[TWO]) / median(rates[CEILING]), "")
    for peer in (peer for peer in peers.peers() if peer.name in rates):
        ratio = median(rates[RABBITMQ]) / median(rates[peer.name])
        yield Figure(f"RabbitMQ / {peer.name}", ratio, "", least=peer.floor)
    for name in (CEILING, RABBITMQ, TABLE):
        costs = costs_of(runs[name])
        for process, cost in costs.items():
            yield Figure(f"CPU per message, {name}: {process}", cost, "µs")
        total = sum(cost for process, cost in costs.items() if process in COSTS)
        yield Figure(
            f"CPU per message, {name}: all but the provider", total, "µs", most=140 if name == RABBITMQ else None
        )
    wal = median(run.wal / run.messages for run in runs[RABBITMQ])
    yield Figure("WAL per message", wal, "B", most=1_160)
    yield Figure(
        "peak memory of a dispatcher", max(run.memory for some in runs.values() for run in some), "MB", most=120
    )
    for number, percentile in enumerate((50, 95, 99)):
        yield Figure(
            f"from creation to sent, p{percentile}", median(run.waits[number] for run in runs[RABBITMQ]) * 1000, "ms"
        )


def _hung(hung: Mapping[str, int], repetitions: int) -> Iterator[Figure]:
    """One that hung every time is no comparison."""
    for name, count in hung.items():
        yield Figure(f"repetitions that hung, {name}", count, most=repetitions - 1)


def _plots(runs: Mapping[str, list[Run]]) -> Iterator[Bars]:
    rates = {name: {"": median(run.rate for run in some)} for name, some in runs.items()}
    yield Bars("throughput", "Messages per second", "1/s", rates)
    costs = {
        name: {process: cost for process, cost in costs_of(some).items() if cost >= 0.5} for name, some in runs.items()
    }
    yield Bars("cpu", "CPU time per message, by process", "µs", costs)
