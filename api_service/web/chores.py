"""What a process of the API does beside its requests, about every second, on a thread of its own."""

import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from shared import logs
from shared.database.engine import first_line

_BEAT = 1.0  # seconds

_log = logs.logger()

Chore = Callable[[], None]


def keep_doing(chores: Sequence[Chore]) -> None:
    """In the process that serves: a thread does not survive a fork."""
    threading.Thread(target=_run, args=[chores], name="chores", daemon=True).start()


def _run(chores: Sequence[Chore]) -> None:
    while True:
        time.sleep(_BEAT)
        for chore in chores:
            try:
                chore()
            except SQLAlchemyError as error:
                _log.warning("chore_failed", chore=chore.__qualname__, error=first_line(error))
            except Exception:
                _log.exception("chore_failed", chore=chore.__qualname__)
