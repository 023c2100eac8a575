"""What texts of their own cost the messages of a mailing: beside one that has the same for all, in turn."""

from statistics import median

from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import TEXT, WARM_UP, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services, query

PLAIN, PLACEHOLDERS, LIQUID = "the same for all", "plain placeholders", "one if, one filter, three values"
TEXTS = {
    PLAIN: TEXT,
    PLACEHOLDERS: "Hello, {{ name }}! Your {{ points }} points are waiting in {{ city | default: 'town' }}.",
    LIQUID: "{% if vip %}Dear {{ name | upcase }}{% endif %}, your {{ points }} points are waiting in {{ city }}.",
}


def measure(services: Services, scale: Scale) -> Report:
    rates: dict[str, list[float]] = {name: [] for name in TEXTS}
    with services.addresses(WARM_UP | {"bench": scale.throughput}) as addresses:
        query(addresses.database_url, _KNOW)
        with deployed(services.processes, addresses) as deployment:
            in_turn = list(TEXTS.items())
            for _ in range(2 * scale.repetitions):
                for name, text in in_turn:
                    rates[name].append(deployment.send("bench", text=text).rate)
                in_turn.reverse()  # whoever comes last finds the machine as the others have left it
    plain = median(rates[PLAIN])
    return Report(
        f"Personal texts: a mailing of {scale.throughput:,}",
        [
            *(median_of(f"messages/s, {name}", some, "1/s") for name, some in rates.items()),
            Figure(f"{PLACEHOLDERS} / {PLAIN}", median(rates[PLACEHOLDERS]) / plain, "", least=0.85),
            Figure(f"{LIQUID} / {PLAIN}", median(rates[LIQUID]) / plain, "", least=0.55),
        ],
    )


_KNOW = """
    update clients set attributes = jsonb_build_object(
        'name', 'Anna ' || id, 'points', id % 1000, 'city', 'Nizhny Novgorod', 'vip', true)
"""
