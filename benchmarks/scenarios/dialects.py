"""What a dialect costs: the default one by settings and by its profile, a form, nested JSON; in turn."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, Report, median_of
from benchmarks.run import TOKEN, WARM_UP, Run, costs_of, deployed
from benchmarks.scale import Scale
from benchmarks.services import Services

BY_SETTINGS, BY_PROFILE, FORM, NESTED = "by PROVIDER_URL", "by its profile", "a form", "nested JSON"

PROFILES = {
    BY_PROFILE: 'preset = "seed"\nurl = "{url}/v1/send/{{id}}"\nsecrets = {{ token = "file:{secret}" }}',
    FORM: (
        'preset = "twilio"\nurl = "{url}/2010-04-01/Accounts/{{account}}/Messages.json"\nvalues = {{ account = "AC1" }}'
        '\nsecrets = {{ token = "file:{secret}" }}\nsenders = ["+15005550006"]'
    ),
    NESTED: (
        'preset = "infobip"\nurl = "{url}/sms/3/messages"\nsecrets = {{ key = "file:{secret}" }}\nsenders = ["Shop"]'
    ),
}


def measure(services: Services, scale: Scale) -> Report:
    runs: dict[str, list[Run]] = {name: [] for name in (BY_SETTINGS, *PROFILES)}
    secret = services.home / "provider-token"
    secret.write_text(TOKEN)
    for _ in range(scale.repetitions):
        for name, some in runs.items():
            some.append(_run(services, scale.throughput, _settings(services, name, secret)))
    title = f"Dialects: a mailing of {scale.throughput:,} to a provider that answers at once, in each"
    return Report(title, list(_figures(runs)), [])


def _settings(services: Services, name: str, secret: Path) -> dict[str, str]:
    if name not in PROFILES:
        return {}
    file = services.home / "providers.toml"
    profile = PROFILES[name].format(url=services.provider_url, secret=secret)
    file.write_text(f"[providers.bench]\n{profile}\n")
    return {"PROVIDERS_FILE": str(file), "PROVIDER_URL": "", "PROVIDER_TOKEN": ""}


def _run(services: Services, count: int, settings: Mapping[str, str]) -> Run:
    with (
        services.addresses(WARM_UP | {"bench": count}) as addresses,
        deployed(services.processes, addresses, env=settings) as deployment,
    ):
        return deployment.send("bench", services.pids)


def _figures(runs: Mapping[str, list[Run]]) -> Iterator[Figure]:
    rates = {name: [run.rate for run in some] for name, some in runs.items()}
    for name, some in rates.items():
        yield median_of(f"messages/s, {name}", some, "1/s")
    for name, least in ((BY_PROFILE, 0.97), (FORM, 0.9), (NESTED, 0.9)):
        yield Figure(f"{name} / {BY_SETTINGS}", median(rates[name]) / median(rates[BY_SETTINGS]), "", least=least)
    for name, all_runs in runs.items():
        yield Figure(f"CPU per message, {name}: dispatcher", costs_of(all_runs)["dispatcher"], "µs")
