"""A mailing through three providers at once, beside the same through one, in turn."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import TOKEN, WARM_UP, Run, costs_of, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services

NAMES = ("first", "second", "third")


def measure(services: Services, scale: Scale) -> Report:
    runs: dict[int, list[Run]] = {1: [], len(NAMES): []}
    for _ in range(scale.repetitions):
        for number, some in runs.items():
            some.append(_send(services, scale.throughput, number))
    return Report(
        f"Several providers: a mailing of {scale.throughput:,}, all of them answer at once", list(_figures(runs))
    )


def _figures(runs: Mapping[int, Sequence[Run]]) -> Iterator[Figure]:
    one, three = ([run.rate for run in some] for some in runs.values())
    yield median_of("messages/s through one", one, "1/s")
    yield median_of("messages/s through three", three, "1/s")
    yield Figure("three / one", median(three) / median(one), "", least=0.95)
    for number, some in runs.items():
        for process, cost in costs_of(some).items():
            yield Figure(f"CPU per message, through {number}: {process}", cost, "µs")


def _send(services: Services, count: int, number: int) -> Run:
    file = _providers_file(services, number)
    env = {"PROVIDERS_FILE": str(file), "PROVIDER_URL": "", "PROVIDER_TOKEN": "", "GATEWAY_TOKEN": TOKEN}
    with (
        services.addresses(WARM_UP | {"bench": count}) as addresses,
        deployed(services.processes, addresses, env=env) as deployment,
    ):
        return deployment.send("bench", services.pids)


def _providers_file(services: Services, number: int) -> Path:
    """All of them are the same server, each on connections of its own."""
    file = services.home / f"providers-{number}.toml"
    file.write_text("\n".join(_table(name, services.provider_url) for name in NAMES[:number]), encoding="utf-8")
    return file


def _table(name: str, url: str) -> str:
    secrets = '{ token = "env:GATEWAY_TOKEN" }'
    return f'[providers.{name}]\npreset = "seed"\nurl = "{url}/v1/send/{{id}}"\nsecrets = {secrets}\n'
