"""A provider that takes so many calls a second, and answers 429 to all others."""

from dataclasses import dataclass, field
from random import Random

from shared.domain.message import Error
from shared.domain.retry import ACCEPTED, Outcome, OutcomeKind


@dataclass
class Provider:
    """rate: calls a second that it takes. latency: seconds to an answer, a third of it more or less; 429 comes at once.
    by_window: it counts by calendar seconds; else with a bucket that holds what it takes in `burst` seconds. moody:
    part of the calls that it refuses whatever the pace is. limited_from: until then it takes all.
    """

    rate: float
    random: Random
    latency: float = 0.1
    retry_after: float = 1.0
    by_window: bool = False
    burst: float = 0.2
    moody: float = 0.0
    limited_from: float = 0.0
    taken: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    _since: float = 0.0
    _left: float = 0.0

    def call(self, now: float) -> tuple[Outcome, float]:
        """What it answers, and when."""
        if self.by_window:
            if now >= self._since + 1:
                self._since, self._left = float(int(now)), self.rate
        else:
            self._left = min(max(1.0, self.rate * self.burst), self._left + (now - self._since) * self.rate)
            self._since = now
        if now < self.limited_from:
            return ACCEPTED, now + self.latency * self.random.uniform(2 / 3, 4 / 3)
        if self._left < 1 or (self.moody and self.random.random() < self.moody):
            self.refused.append(now)
            return Outcome(OutcomeKind.LIMITED, Error.RATE_LIMITED, self.retry_after), now + 0.02
        self._left -= 1
        self.taken.append(now)
        return ACCEPTED, now + self.latency * self.random.uniform(2 / 3, 4 / 3)
