"""Dispatchers that share one limit."""

import heapq
from random import Random
from statistics import mean, quantiles
from typing import NamedTuple

from dispatcher_service.pipeline.allowance import Allowance
from dispatcher_service.pipeline.in_hand import PREFETCH
from shared.rates.limits import SOON

TURN = 0.03  # the recorder looks so often
CLAIM = 0.008  # seconds of a claim


class Found(NamedTuple):
    """rate: what was sent, of what was allowed. most: the most that were sent within a second, of the same. asked: how
    often the row was asked for, a second. waited: the longest time from a claim to the wire. passed: the longest time
    that one of a hundred turns came after the last of the same dispatcher, in units of the mean."""

    rate: float
    most: float
    asked: float
    waited: float
    passed: float


def run(
    rate: float, dispatchers: int, stale: float, random: Random, seconds: float = 60.0, first_job: int | None = None
) -> Found:
    """stale: part of the claims that give nothing. first_job: messages of a job until half of the time is over; those
    of before the dispatchers were known are larger."""
    soon = SOON.total_seconds()
    next_at, asked, sent, waited = 0.0, 0, list[float](), 0.0
    last_job = max(1, int(rate * soon / dispatchers))
    turn_at, between = [0.0] * dispatchers, list[float]()
    allowances = [Allowance(random.random) for _ in range(dispatchers)]
    turns = [(random.random() * TURN, number) for number in range(dispatchers)]
    heapq.heapify(turns)
    while turns[0][0] < seconds:
        now, number = heapq.heappop(turns)
        allowance = allowances[number]
        job = first_job if first_job and now < seconds / 2 else last_job
        if allowance.asks(now):
            asked += 1
            at, most = max(next_at, now), max(1, int(rate * soon))
            most = min(most, allowance.worth(PREFETCH * job, job, rate))
            if at > now + soon:
                allowance.got(0, at - now - soon, 1 / rate, now)
            else:
                allowance.got(most, at - now, 1 / rate, now)
                next_at = at + most / rate
                between.append(now - turn_at[number])
                turn_at[number] = now
        left, turn = allowance.left(now), TURN
        if left:
            moments = allowance.use(sum(random.random() >= stale for _ in range(left)))
            sent += [max(moment, now + CLAIM) for moment in moments]
            waited = max([waited, *(moment - now for moment in moments)])
            turn = CLAIM + TURN * (not allowance.left(now))
        heapq.heappush(turns, (now + turn, number))
    sent.sort()
    begin, most_within = 0, 0
    for end, moment in enumerate(sent):
        while sent[begin] < moment - 1:
            begin += 1
        most_within = max(most_within, end - begin + 1)
    passed = quantiles(between, n=100)[-1] / mean(between)
    return Found(len(sent) / (rate * seconds), most_within / rate, asked / seconds, waited, passed)
