"""A provider that sends receipts, for tests: its profile, and how it is told what became of messages."""

from typing import Any

from shared.domain.profile.provider import Limits, Provider, Providers, Secret, Source
from shared.domain.profile.receipts import parse
from shared.providers.loading import seed

SECRET = "quite-secret"
PATH = f"/receipts/gate/{SECRET}/"
SECTION: dict[str, Any] = {
    "list": "",
    "id": "id",
    "reference": "ref",
    "status": "status",
    "reason": "reason",
    "at": "at",
    "values": {"delivered": "delivered", "failed": "undelivered", "queued": "awaiting"},
    "authentication": {"kind": "path", "secret": "{receipts}"},
}


def gateway(name: str = "gate", url: str = "http://127.0.0.1:9", secret: Secret | None = None, **more: Any) -> Provider:
    """Its dialect is the default one."""
    plain = seed(url, "", Limits())
    secrets = {"receipts": secret or Secret(Source.GIVEN, SECRET)}
    section = {key: value for key, value in (SECTION | more).items() if value is not None}
    return Provider(name, plain.request, plain.reading, secrets=secrets, receipts=parse(section, secrets))


def gateways(**more: Any) -> Providers:
    """One of them."""
    return Providers([gateway(**more)])
