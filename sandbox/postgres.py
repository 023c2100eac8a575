"""Holds the embedded PostgreSQL of DATA_DIR: starts it, prints its URL, and stops it when told to stop itself.

A process of its own, so that the server also stops when the one that wanted it is killed.
"""

import signal
import sys
import threading

from shared import settings
from shared.database import embedded
from shared.domain.errors import SettingsError


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # not before it has started: half a start leaves a server behind
    try:
        print(embedded.start(settings.load().data_dir), flush=True)
    except SettingsError as error:
        sys.exit(str(error))
    stop.wait()


if __name__ == "__main__":
    main()
