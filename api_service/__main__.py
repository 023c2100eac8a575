"""The API service: `python -m api_service`. Stops on SIGTERM, after the requests under way."""

import os
import sys
import tempfile
from pathlib import Path

from shared import database, logs, migrate, settings
from shared.errors import SettingsError


def main() -> None:
    try:
        configuration = settings.load()
        logs.setup("api", configuration.log_level, configuration.log_format)
        metrics_directory = Path(tempfile.mkdtemp(prefix=f"notification-api-{os.getpid()}-"))
        settings.use_metrics_directory(metrics_directory)
        # Whatever declares metrics must not be imported before this line.
        from api_service.server import Server  # noqa: PLC0415
        from shared.broker.choice import choose  # noqa: PLC0415

        url = database.database_url(configuration)
        if configuration.database_url is None:
            migrate.upgrade(url)
        broker = choose(configuration.broker_url, url, configuration.retry_ladder)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    Server(configuration, url, broker, metrics_directory).run()


if __name__ == "__main__":
    main()
