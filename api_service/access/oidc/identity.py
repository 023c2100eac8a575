"""Who is known at the identity provider: this service, and whoever signs in. Pure."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Client:
    """What this service is to the provider. secret: empty where it has none. groups_claim: under which it tells what
    groups somebody is in."""

    issuer: str
    id: str
    secret: str = field(repr=False)
    groups_claim: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the provider knows. subject: what it calls them, for good. name: what people call them.
    authenticated_at: when they last proved it to the provider; None: it does not say. id_token: to sign out there."""

    subject: str
    name: str
    groups: frozenset[str]
    authenticated_at: datetime | None
    id_token: str = field(repr=False)
