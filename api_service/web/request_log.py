"""The log of who asked for what: lines that repeat themselves are thinned, and their number is said."""

import contextvars
import threading
from collections.abc import Hashable, Iterable
from typing import Any

import structlog

from api_service.web.thinning import Thinning
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
            what: of few values.
        """
        if self.shows(level, event, who, what, **fields):
            _log.log(level, event, **fields)

    def shows(self, level: int, event: str, who: Hashable, what: Hashable, **fields: Any) -> bool:
        """The same for one who writes the line themselves: whether to. If not, it is counted."""
        line = level, event, structlog.contextvars.get_contextvars() | fields
        with self._lock:
            shown = self._thinning.shows(who, what, line, clock.ticks())
        if not shown:
            LOG_LINES_LEFT_OUT.inc()
        return shown

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
