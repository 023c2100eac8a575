"""Dialects for tests."""

from dataclasses import replace

from dispatcher_service.sending.dialect import Dialect
from shared.domain.profile.provider import Limits, Routing
from shared.providers.loading import seed


def seed_dialect(
    url: str,
    token: str = "",
    *,
    name: str = "seed",
    timeout: float = 10.0,
    concurrency: int = 50,
    rate: float = 0.0,
    routing: Routing = Routing(),  # noqa: B008 - it is frozen
) -> Dialect:
    """The default one, as PROVIDER_URL and PROVIDER_TOKEN give it; or one of several."""
    provider = seed(url, token, Limits(timeout, concurrency, rate))
    return Dialect(replace(provider, name=name, routing=routing), {"token": token} if token else {})
