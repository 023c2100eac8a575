"""The secrets that profiles name."""

from collections.abc import Mapping
from pathlib import Path

from shared.domain.errors import SettingsError
from shared.domain.profile.provider import Provider, Secret, Source
from shared.logs import logger
from shared.settings import variable

_LONGEST = 8192  # bytes


def read(provider: Provider) -> Mapping[str, str]:
    """The provider's secrets by name, as they are now. Raises SettingsError, which tells none of them."""
    return {name: _read(secret) for name, secret in provider.secrets.items()}


class Watch:
    """The secrets of one provider, as they change: those in files are read again at each look."""

    def __init__(self, provider: Provider) -> None:
        """Raises SettingsError: one is not there."""
        self.provider = provider
        self._has_files = any(secret.source is Source.FILE for secret in provider.secrets.values())
        self._complaint = ""
        self.known = read(provider)

    def look(self) -> bool:
        """Whether one has changed. Whoever cannot be read stays as it was, and the log says so once."""
        if not self._has_files:
            return False
        try:
            found = read(self.provider)
        except SettingsError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                logger().warning("secret_unreadable", provider=self.provider.name, why=self._complaint)
            return False
        self._complaint = ""
        if found == self.known:
            return False
        self.known = found
        return True


def _read(secret: Secret) -> str:
    match secret.source:
        case Source.GIVEN:
            return secret.where
        case Source.ENV:
            found = variable(secret.where)
        case Source.FILE:
            found = _content(secret)
    found = (found or "").strip()
    if not found:
        raise SettingsError(f"PROVIDERS_FILE, {secret.place}: {secret.source}:{secret.where} is not set or empty.")
    if not found.isprintable() or not found.isascii():
        which = f"{secret.source}:{secret.where}"
        raise SettingsError(f"PROVIDERS_FILE, {secret.place}: {which} must be printable ASCII in one line.")
    return found


def _content(secret: Secret) -> str:
    try:
        with Path(secret.where).open("rb") as file:
            return file.read(_LONGEST).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"PROVIDERS_FILE, {secret.place}: file:{secret.where} cannot be read: {why}.") from error
