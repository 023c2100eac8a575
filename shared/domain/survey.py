"""What an audience is made of, counted or told by a sample. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.reason import Reason


@dataclass(frozen=True, slots=True)
class Survey:
    """An audience as of one moment.

    clients: all who match. skipped: those of them who get nothing, by the reason. operator_codes, timezones, tags: the
    others. tags: None where there are too many tags to count by them.
    """

    clients: int
    skipped: Mapping[Reason, int]
    operator_codes: Mapping[str, int]
    timezones: Mapping[str, int]
    tags: Mapping[str, int] | None

    @property
    def reached(self) -> int:
        """How many are not skipped."""
        return self.clients - sum(self.skipped.values())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of people as a sample tells it: off by `within` at the most, in 19 of 20 samples. within: 0: exact."""

    number: int
    within: int = 0


def estimate(found: int, looked_at: int, among: int) -> Estimate:
    """How many of so many people there are, if it was so many of those that were looked at."""
    if looked_at >= among:
        return Estimate(found)
    return Estimate(round(found * among / looked_at), math.ceil(bound(looked_at) * among))


def bound(looked_at: int) -> float:
    """By how much a share may be off in a sample, in 19 of 20, whatever the share: 1.96 deviations of one half."""
    return 0.98 / math.sqrt(looked_at)
