"""Dispatchers that have enough to do, against a provider with a limit."""

import heapq
from itertools import count
from math import inf
from random import Random
from typing import NamedTuple

from benchmarks.simulation.provider import Provider
from dispatcher_service.sending.pace import Pace
from shared.domain.retry import Outcome

CONCURRENCY = 256
LOOK = 0.5  # the sender looks so often without being told


class Found(NamedTuple):
    """efficiency: what the provider took of what it would have taken. refusals: per message taken."""

    efficiency: float
    refusals: float


def run(
    provider: Provider,
    dispatchers: int,
    random: Random,
    since: float = 20.0,
    until: float = 80.0,
    rest: tuple[float, float] = (inf, inf),
) -> Found:
    """What is found from `since` until `until`, in seconds after the start. rest: between these there is nothing to
    send."""
    paces = [Pace() for _ in range(dispatchers)]
    calls = [0] * dispatchers
    numbers = count()
    events: list[tuple[float, int, int, Outcome | None, float]] = []
    for one in range(dispatchers):
        heapq.heappush(events, (random.random(), next(numbers), one, None, 0.0))
    asleep = [inf] * dispatchers  # until when
    while events:
        now, _, one, outcome, started = heapq.heappop(events)
        if now > until:
            break
        pace = paces[one]
        if outcome is not None:
            pace.end(now, calls[one])
            calls[one] -= 1
            pace.observe(outcome, started, now)
        elif now < asleep[one] < inf:
            continue  # an answer has changed when it wakes
        rests = rest[0] <= now < rest[1]
        for _ in range(0 if rests else min(pace.allowed(now, calls[one]), CONCURRENCY - calls[one])):
            calls[one] += 1
            pace.begin(now, calls[one])
            answer, at = provider.call(now)
            heapq.heappush(events, (at, next(numbers), one, answer, now))
        wake = rest[1] if rests else now + min(max(pace.pause(now, calls[one]), 0.0005), LOOK)
        if calls[one] < CONCURRENCY and (wake < asleep[one] or asleep[one] <= now):
            asleep[one] = wake
            heapq.heappush(events, (wake, next(numbers), one, None, 0.0))
    taken = sum(at >= since for at in provider.taken)
    refused = sum(at >= since for at in provider.refused)
    return Found(taken / (provider.rate * (until - since)), refused / max(1, taken))
