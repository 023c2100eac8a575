"""Urgent messages behind a huge mailing, where a limit keeps what dispatchers have in hand there for seconds."""

import heapq
from collections import deque
from dataclasses import dataclass, field
from random import Random

from benchmarks.simulation.limits import CLAIM, TURN
from dispatcher_service.leading.backlog import AHEAD, LEAST
from dispatcher_service.leading.jobs import job_size
from dispatcher_service.pipeline.allowance import Allowance
from dispatcher_service.pipeline.in_hand import PREFETCH, WAITED_LONG
from shared.rates.limits import SOON

LOOK = 0.25  # the leader looks so often how much room there is on the broker
ROUND = 10  # one message of so many goes round
BEGUN = 20.0
"""Seconds after which the urgent ones are there: everybody has found out how long it takes until their next turn."""


@dataclass
class _Job:
    urgent: bool
    messages: int
    since: float = 0.0


@dataclass
class _Dispatcher:
    allowance: Allowance
    jobs: list[_Job] = field(default_factory=list)

    def receive(self, queue: deque[_Job], most: int, now: float) -> None:
        while queue and len(self.jobs) < most:
            job = queue.popleft()
            job.since = now
            self.jobs.append(job)

    def send(self, messages: int, now: float) -> int:
        """Of so many messages those that are urgent."""
        urgent = 0
        self.jobs.sort(key=lambda job: (now - job.since < WAITED_LONG, not job.urgent, job.since))
        for job in self.jobs:
            some = min(messages, job.messages)
            job.messages, messages = job.messages - some, messages - some
            urgent += some * job.urgent
        self.jobs = [job for job in self.jobs if job.messages]
        return urgent


def run(rate: float, dispatchers: int, random: Random, urgent: int = 20) -> float:
    """Seconds from the moment at which so many urgent messages are due until the last of them is sent."""
    size = job_size([0.0] * dispatchers, 256, rate)
    depth = max(LEAST, int(rate * AHEAD / size))
    soon = SOON.total_seconds()
    queue, left, sent, published, next_at = deque[_Job](), urgent, 0, 0, 0.0
    crowd = [_Dispatcher(Allowance(random.random)) for _ in range(dispatchers)]
    events = [(random.random() * TURN, number) for number in range(dispatchers)] + [(0.0, -1)]
    heapq.heapify(events)
    while sent < urgent:
        now, number = heapq.heappop(events)
        if number < 0:
            while len(queue) < depth:
                published += 1
                is_urgent = now >= BEGUN and left > 0 and published % ROUND != 0
                messages = min(size, left) if is_urgent else size
                left -= messages * is_urgent
                queue.append(_Job(is_urgent, messages))
            heapq.heappush(events, (now + LOOK, number))
            continue
        one, turn = crowd[number], TURN
        one.receive(queue, PREFETCH, now)
        wanted = sum(job.messages for job in one.jobs)
        if wanted and one.allowance.asks(now):
            at, worth = max(next_at, now), one.allowance.worth(wanted, size, rate)
            most = max(1, min(worth, int(rate * soon)))
            if at > now + soon:
                one.allowance.got(0, at - now - soon, 1 / rate, now)
            else:
                one.allowance.got(most, at - now, 1 / rate, now)
                next_at = at + most / rate
        if wanted and (allowed := min(wanted, one.allowance.left(now))):
            moments = one.allowance.use(allowed)
            if done := one.send(allowed, now):
                sent, last = sent + done, max(moments)
            turn += CLAIM
        heapq.heappush(events, (now + turn, number))
    return max(last, now) - BEGUN
