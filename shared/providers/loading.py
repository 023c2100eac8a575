"""The providers that the settings name."""

from shared.domain.profile.provider import Limits, Providers
from shared.domain.profile.seed import seed
from shared.settings import Settings


def load_providers(configuration: Settings) -> Providers:
    """Those of PROVIDERS_FILE; else the one that PROVIDER_URL names, with the default profile. Secrets are named, and
    read by `secrets.read`. Raises SettingsError."""
    limits = Limits(configuration.provider_timeout, configuration.dispatch_concurrency)
    return Providers([seed(configuration.provider_url, configuration.provider_token, limits)])
