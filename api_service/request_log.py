"""The log of who asked for what: lines that repeat themselves are thinned, and their number is said."""

import contextvars
import threading
from collections.abc import Hashable, Iterable
from typing import Any

import structlog

from api_service.thinning import Thinning
from shared import clock, logs
from shared.metrics import LOG_LINES_LEFT_OUT

_log = logs.logger()

_Line = tuple[int, str, dict[str, Any]]  # level, event, fields


class RequestLog:
    """That of one process; any thread writes to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thinning: Thinning[_Line] = Thinning()

    def always(self, level: int, event: str, **fields: Any) -> None:
        """A line that is there to be found whatever else happens."""
        _log.log(level, event, **fields)

    def write(self, level: int, event: str, who: Hashable, what: Hashable, **fields: Any) -> None:
        """A line; one of many of a kind is only counted.

        Args:
            who: the address, or the id of a key that is valid: not what anybody can make up.
            what: kinds of lines, of few values.
        """
        line = level, event, structlog.contextvars.get_contextvars() | fields
        with self._lock:
            shown = self._thinning.shows(who, (event, what), line, clock.ticks())
        if shown:
            self.always(level, event, **fields)
        else:
            LOG_LINES_LEFT_OUT.inc()

    def flush(self) -> None:
        """Says what was left out in windows that are over. To be called about every second."""
        with self._lock:
            repeated = list(self._thinning.repeated(clock.ticks()))
        self._say(repeated)

    def close(self) -> None:
        """Says all that was left out."""
        with self._lock:
            repeated = list(self._thinning.rest())
        self._say(repeated)

    def _say(self, repeated: Iterable[tuple[_Line, int]]) -> None:
        for (level, event, fields), number in repeated:
            # Not with the ids of the request that this thread may be at.
            contextvars.Context().run(_log.log, level, event, **fields, repeated=number)
