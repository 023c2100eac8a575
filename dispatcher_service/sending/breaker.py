"""The circuit breaker: when the provider as a whole is down, sending stops until a probe is answered. Pure."""

from shared.domain.message import Error
from shared.domain.retry import Outcome, OutcomeKind

THRESHOLD = 20
"""So many attempts in a row without a sign of life open the breaker."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 3.0
"""However long the provider was down, it is found again within so many seconds: a probe costs it next to nothing."""


class Breaker:
    """Closed: everything may be sent. Open: nothing, for a pause that doubles with every probe that fails. After the
    pause: one attempt at a time, the probe, until one shows a sign of life.

    An answer that accepts or refuses a message is a sign of life. What every message would meet (a refused token, an
    empty account, a wrong address) opens it at once. Old news count for nothing: a call that hangs says how the
    provider was when it began, and there may have been signs of life since. `now` is in seconds on a clock that never
    steps back.
    """

    def __init__(self) -> None:
        self.reason: Error | None = None  # why it is open; None: closed
        self._failures = 0
        self._is_outage = False
        self._pause = FIRST_PAUSE
        self._alive_at = 0.0  # the last sign of life
        self._probe_at = 0.0  # while it is open: the end of the pause
        self.outages = 0
        """Those that are over. A single answer that opened it, and a probe that was served at once, are none."""

    @property
    def is_open(self) -> bool:
        return self.reason is not None

    def allowed(self, now: float, calls_open: int) -> int | None:
        """How many calls may be started now; None: no limit."""
        if self.reason is None:
            return None
        return 1 if now >= self._probe_at and calls_open == 0 else 0

    def pause(self, now: float) -> float:
        """Seconds until the next probe; 0 when one may start, or when closed."""
        return max(0.0, self._probe_at - now) if self.is_open else 0.0

    def observe(self, outcome: Outcome, started: float, now: float) -> None:
        """Takes the outcome of an attempt into account. started: when its call was begun."""
        if outcome.is_served:
            self.outages += self._is_outage
            self.reason, self._is_outage, self._failures, self._alive_at = None, False, 0, now
        elif started >= (self._probe_at if self.is_open else self._alive_at):  # else it is old news
            self._failures += 1
            self._is_outage |= self.is_open or self._failures >= THRESHOLD
            if outcome.kind is OutcomeKind.UNAUTHORIZED or self._failures >= THRESHOLD:
                self._open(outcome.error, now)

    def _open(self, error: Error | None, now: float) -> None:
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if self.is_open else FIRST_PAUSE
        self.reason = error
        self._probe_at = now + self._pause
