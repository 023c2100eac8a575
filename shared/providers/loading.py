"""The providers that the settings name."""

from dataclasses import replace
from pathlib import Path

from shared.domain.errors import SettingsError
from shared.domain.profile.document import DocumentError, join, read_document, read_provider
from shared.domain.profile.provider import Limits, Provider, Providers, Secret, Source
from shared.domain.profile.section import Faults, Section
from shared.providers.presets import presets
from shared.settings import Settings

SEED = "seed"

_LONGEST = 1 << 20  # bytes


def load_providers(configuration: Settings) -> Providers:
    """Those of PROVIDERS_FILE; else the one that PROVIDER_URL names, with the default profile. Secrets are named, and
    read by `secrets.read`. Raises SettingsError."""
    limits = Limits(configuration.provider_timeout, configuration.dispatch_concurrency)
    if configuration.providers_file is None:
        return Providers([seed(configuration.provider_url, configuration.provider_token, limits)])
    try:
        return read_file(configuration.providers_file, limits)
    except DocumentError as error:
        faults = "\n  ".join(map(str, error.faults))
        raise SettingsError(f"PROVIDERS_FILE {configuration.providers_file}:\n  {faults}") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"PROVIDERS_FILE {configuration.providers_file} cannot be read: {why}.") from error


def read_file(path: Path, limits: Limits) -> Providers:
    """The providers of a file. Raises OSError, ValueError where it is no text of UTF-8, DocumentError."""
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError("it has more than a megabyte")
    return read_document(content.decode(), presets(), limits)


def seed(url: str, token: str, limits: Limits) -> Provider:
    """The one provider of a deployment that names its address and its token only."""
    named = url.replace("{", "{{").replace("}", "}}")
    table = join(presets()[SEED], {"url": f"{named}/v1/send/{{id}}", "plaintext": True})  # the settings have looked
    if token:
        table["secrets"] = {"token": "env:PROVIDER_TOKEN"}
    else:
        del table["headers"]["Authorization"]
    faults = Faults()
    provider = read_provider(Section(table, ("providers", SEED), faults), {}, limits)
    if faults.found:
        raise SettingsError(f"PROVIDER_URL {faults.found[0].what}.")
    return replace(provider, secrets={"token": Secret(Source.GIVEN, token)} if token else {})
