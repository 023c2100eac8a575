"""The keys of digests that this process has: those of SUPPRESSION_KEYS, or one that is kept under DATA_DIR."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from shared.domain.digests import Digests
from shared.domain.errors import SettingsError
from shared.settings import Settings
from shared.suppression import read_marks

FILE = "suppression-key"


def digests_of(settings: Settings) -> Digests:
    """Raises SettingsError."""
    if settings.suppression_keys:
        return Digests(settings.suppression_keys)
    try:
        return Digests({1: _kept(settings.data_dir / FILE)})
    except OSError as error:
        raise SettingsError(
            f"SUPPRESSION_KEYS is not set, and DATA_DIR can keep no key of its own: {error.strerror}."
        ) from error


def _kept(file: Path) -> bytes:
    """Made at the first start, whole or not at all; whoever comes second takes that of the first."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{FILE}.{os.getpid()}-{secrets.token_hex(4)}")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(32))
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(new, file)
        new.unlink()
    return file.read_bytes().strip()


def check(engine: Engine, digests: Digests) -> None:
    """Raises SettingsError where rows were made with keys that are not at hand: a suppressed phone would not be known.
    A database that cannot be asked now is left to the requests, which look as well."""
    try:
        with engine.connect() as connection:
            missing = digests.missing(read_marks(connection))
    except ProgrammingError:
        return  # there are no tables yet, and nobody is suppressed
    except SQLAlchemyError:
        return
    if missing:
        raise SettingsError(
            "SUPPRESSION_KEYS must have the key that suppressions were made with, of version"
            f" {' and '.join(map(str, missing))}; it is missing here, or another one."
        )
