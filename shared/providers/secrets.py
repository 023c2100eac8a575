"""The secrets that profiles name."""

from collections.abc import Mapping
from pathlib import Path

from shared.domain.errors import SettingsError
from shared.domain.profile.provider import Provider, Secret, Source
from shared.settings import variable

_LONGEST = 8192  # bytes


def read(provider: Provider) -> Mapping[str, str]:
    """The provider's secrets by name, as they are now. Raises SettingsError, which tells none of them."""
    return {name: _read(secret) for name, secret in provider.secrets.items()}


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
        raise SettingsError(f"{secret.place}: {secret.source}:{secret.where} is not set or empty.")
    if not found.isprintable() or not found.isascii():
        raise SettingsError(f"{secret.place}: {secret.source}:{secret.where} must be printable ASCII in one line.")
    return found


def _content(secret: Secret) -> str:
    try:
        with Path(secret.where).open("rb") as file:
            return file.read(_LONGEST).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"{secret.place}: file:{secret.where} cannot be read: {why}.") from error
