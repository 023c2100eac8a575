"""Small and large mailings in turn, in one database: nothing may get slower as it fills."""

from benchmarks.figure import Figure, Lines, Report
from benchmarks.run import WARM_UP, Run, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services

TIMES = 3


def measure(services: Services, scale: Scale) -> Report:
    groups = WARM_UP | {"few": scale.grow_few, "many": scale.grow_many}
    few: list[Run] = []
    many: list[Run] = []
    with services.addresses(groups) as addresses, deployed(services.processes, addresses) as running:
        for _ in range(TIMES):
            few.append(running.send("few"))
            many.append(running.send("many"))
    figures = []
    for number, (small, large) in enumerate(zip(few, many, strict=True), start=1):
        figures.append(Figure(f"messages/s, a mailing of {scale.grow_few:,}, no. {number}", small.rate, "1/s"))
        figures.append(Figure(f"messages/s, a mailing of {scale.grow_many:,}, no. {number}", large.rate, "1/s"))
    figures.append(Figure("large / small, the third time", many[-1].rate / few[-1].rate, "", least=0.9))
    figures.append(Figure("large, the third time / the first", many[-1].rate / many[0].rate, "", least=0.9))
    figures.append(Figure("peak memory of the dispatcher", many[-1].memory, "MB", most=120))
    return Report(
        f"Growth: {scale.grow_few:,} and {scale.grow_many:,} in turn, {TIMES} times",
        figures,
        [
            Lines(
                "growth",
                "Rate from mailing to mailing, in one database",
                "mailing",
                "messages/s",
                {
                    f"{scale.grow_few:,} messages": [(number + 1, run.rate) for number, run in enumerate(few)],
                    f"{scale.grow_many:,} messages": [(number + 1, run.rate) for number, run in enumerate(many)],
                },
            )
        ],
    )
