"""How much of a provider's weight counts: less where it errs or is slow, and by and by all of it again. Pure.

The rule of GOV.UK Notify, which sends through two: whoever does badly loses a part at once and gets it back in small
steps. Here it loses half. It keeps a tenth, so that it is seen when it is well again; one that is down gets nothing
anyway, as its breakers are open.
"""

from collections.abc import Mapping
from typing import NamedTuple

WHOLE, LEAST = 100, 10
"""In hundredths."""

LOSS = 0.5
GAIN = 10

STEP = 10.0
"""Seconds from one step of a provider to the next. What is looked at is what came since the last one."""

FEW = 20
"""Of fewer calls nobody can tell how a provider does; then it gains."""

BAD = 0.1
"""It errs if more than so many of its calls came to nothing, and of the others' fewer than half as many did: what all
fail with is no reason to prefer one."""

SLOW, SLOWER = 1.0, 3.0
"""It is slow if a call takes so many seconds, and so many times as long as one through the quickest of the others."""


class Did(NamedTuple):
    """What a provider did lately, over all dispatchers. seconds: what all calls took."""

    calls: int
    failed: int
    seconds: float

    @property
    def part_failed(self) -> float:
        return self.failed / self.calls

    @property
    def mean(self) -> float:
        return self.seconds / self.calls


def next_shares(shares: Mapping[str, int], did: Mapping[str, Did]) -> Mapping[str, int]:
    """The shares after a step, by provider. did: of those that did anything."""
    known = {name: one for name, one in did.items() if one.calls >= FEW}
    return {name: _next(share, name, known) for name, share in shares.items()}


def _next(share: int, name: str, known: Mapping[str, Did]) -> int:
    one = known.get(name)
    others = [other for each, other in known.items() if each != name]
    if one is not None and others and (_errs(one, others) or _is_slow(one, others)):
        return max(LEAST, int(share * LOSS))
    return min(WHOLE, share + GAIN)


def _errs(one: Did, others: list[Did]) -> bool:
    return one.part_failed > BAD and min(other.part_failed for other in others) < one.part_failed / 2


def _is_slow(one: Did, others: list[Did]) -> bool:
    return one.mean >= SLOW and one.mean >= SLOWER * min(other.mean for other in others)
