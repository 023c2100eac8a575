"""Dialects for tests."""

from dispatcher_service.sending.dialect import Dialect
from shared.domain.profile.provider import Limits
from shared.providers.loading import seed


def seed_dialect(url: str, token: str = "", *, timeout: float = 10.0, concurrency: int = 50) -> Dialect:
    """The default one, as PROVIDER_URL and PROVIDER_TOKEN give it."""
    return Dialect(seed(url, token, Limits(timeout, concurrency)), {"token": token} if token else {})
