"""The providers that send receipts, at hand."""

import threading
from collections.abc import Mapping
from dataclasses import replace

from shared.clock import ticks
from shared.domain.errors import SettingsError
from shared.domain.profile.provider import Provider, Providers
from shared.domain.profile.receipts import Receipts
from shared.domain.profile.receiving import Incoming, Receiver
from shared.domain.profile.template import slots_in
from shared.logs import logger
from shared.metrics import RECEIPTS, begin
from shared.providers import secrets

FRESH = 1.0
"""Seconds for which secrets are taken for the present ones, where a request does not match them."""


_RESULTS = (
    "delivered", "undelivered", "awaiting", "repeated", "early", "unknown", "contradicted", "unlisted", "unreadable",
)  # fmt: skip


class Receivers:
    """Any thread asks. A request that is not authentic by the secrets as they are known has them read again, so that a
    new one takes the place of an old one without a restart; whoever makes up requests causes that once a second."""

    def __init__(self, providers: Providers) -> None:
        """Raises SettingsError where a secret is not there."""
        self._providers = {
            provider.name: _of_receipts(provider, provider.receipts) for provider in providers if provider.receipts
        }
        self._lock = threading.Lock()
        self._known: dict[str, Mapping[str, str]] = {}
        self._made: dict[str, Receiver] = {}
        self._read_at: dict[str, float] = {}
        for provider in self._providers.values():
            self._make(provider)
            begin(RECEIPTS, [provider.name], _RESULTS)

    def __bool__(self) -> bool:
        """Whether any provider sends some."""
        return bool(self._providers)

    def find(self, name: str) -> Receiver | None:
        """None: there is no such provider, or it sends none."""
        return self._made.get(name)

    def authentic(self, name: str, request: Incoming) -> Receiver | None:
        """The receiver by which the request comes from that provider; None: it does not."""
        receiver = self._made[name]
        if receiver.is_authentic(request):
            return receiver
        with self._lock:
            if ticks() - self._read_at[name] > FRESH:
                try:
                    self._make(self._providers[name])
                except SettingsError as error:  # the old ones hold until it is mended
                    self._read_at[name] = ticks()
                    logger().error("secret_not_read", provider=name, error=str(error))
        fresh = self._made[name]
        return fresh if fresh is not receiver and fresh.is_authentic(request) else None

    def _make(self, provider: Provider) -> None:
        found = {**provider.values, **secrets.read(provider)}
        self._read_at[provider.name] = ticks()
        if provider.receipts is not None and self._known.get(provider.name) != found:
            self._made[provider.name] = Receiver(provider.receipts, found)
            self._known[provider.name] = found


def _of_receipts(provider: Provider, receipts: Receipts) -> Provider:
    """With the secrets that authenticate receipts. Those that send messages are not for this process."""
    authentication = receipts.authentication
    used = {slot.name for slot in slots_in((authentication.secret, authentication.user))}
    return replace(provider, secrets={name: one for name, one in provider.secrets.items() if name in used})
