"""The API service: `python -m api_service`. Stops on SIGTERM, after the requests under way."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared import database, logs, migrate, settings
from shared.errors import SettingsError
from shared.settings import Settings


def main() -> None:
    try:
        configuration = settings.load()
        logs.setup("api", configuration.log_level, configuration.log_format)
        with _metrics_directory() as directory:
            _serve(configuration, directory)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _serve(configuration: Settings, metrics_directory: Path) -> None:
    # What declares metrics must not be imported before their directory is known.
    from api_service.server import Server  # noqa: PLC0415
    from shared.broker.choice import choose  # noqa: PLC0415

    url = database.database_url(configuration)
    if configuration.database_url is None:
        migrate.upgrade(url)
    broker = choose(configuration.broker_url, url, configuration.retry_ladder)
    Server(configuration, url, broker, metrics_directory).run()


@contextmanager
def _metrics_directory() -> Iterator[Path]:
    """Where the processes of this service share their metrics."""
    owner = os.getpid()
    directory = Path(tempfile.mkdtemp(prefix=f"notification-api-{owner}-"))
    settings.use_metrics_directory(directory)
    try:
        yield directory
    finally:
        if os.getpid() == owner:  # gunicorn's workers leave this block, too
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
