"""The dialects of this process, and secrets that come anew while it runs."""

from collections.abc import Callable, Iterable, Mapping

from dispatcher_service.sending.dialect import Dialect
from shared.domain.profile.provider import Provider
from shared.logs import logger
from shared.providers.secrets import Watch

ReceiptUrl = Callable[[Provider, Mapping[str, str]], str | None]


class Renewal:
    """`dialects`: one for each provider."""

    def __init__(self, providers: Iterable[Provider], receipt_url: ReceiptUrl = lambda *_: None) -> None:
        """receipt_url: where receipts of a provider with these secrets are to go. Raises SettingsError: a secret is not
        there."""
        self._watches = [Watch(provider) for provider in providers]
        self._receipt_url = receipt_url
        self.dialects = [
            Dialect(watch.provider, watch.known, receipt_url(watch.provider, watch.known)) for watch in self._watches
        ]

    def look(self) -> None:
        """Takes up what has changed. Reads files, so it is not for the sender's thread."""
        for watch, dialect in zip(self._watches, self.dialects, strict=True):
            if watch.look():
                dialect.renew(watch.known, self._receipt_url(watch.provider, watch.known))
                logger().info("secrets_renewed", provider=watch.provider.name)
