"""What the broker is told when results are written: which mailings to wake later, and which jobs are done."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.broker import topology
from shared.broker.base import Delivery
from shared.domain.job import WakeUp
from shared.domain.retry import Retry
from shared.messages.record import Verdict


@dataclass(frozen=True, slots=True)
class Settlement:
    """wake_ups: jobs to be published, by queue. done: jobs to be acked."""

    wake_ups: dict[str, list[bytes]]
    done: Sequence[Delivery]


def wake_ups(verdicts: Sequence[Verdict]) -> dict[str, list[bytes]]:
    """The jobs that wake the mailings of messages when these have waited on their rung, by queue."""
    ids: dict[tuple[timedelta, int], list[int]] = defaultdict(list)
    for verdict in verdicts:
        if isinstance(verdict.decision, Retry):
            ids[verdict.decision.delay, verdict.message.mailing_id].append(verdict.message.id)
    jobs: dict[str, list[bytes]] = defaultdict(list)
    for (delay, mailing_id), message_ids in ids.items():
        jobs[topology.retry_queue(delay)].append(WakeUp(mailing_id, tuple(sorted(message_ids))).encode())
    return jobs
