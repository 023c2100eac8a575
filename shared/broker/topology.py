"""The queues, computed in one place. Pure; `python -m shared.broker.topology` prints them as in the documentation.

mailing.launch        look at this mailing now
message.dispatch      chunks of messages to be sent
message.retry.<delay> one per rung; after its delay a job moves back to message.dispatch by itself
message.ids           one job, the newest: the highest id that was given
message.dead          what could not be understood, with the reason; nobody consumes it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

LAUNCH = "mailing.launch"
DISPATCH = "message.dispatch"
IDS = "message.ids"
DEAD = "message.dead"

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Queue:
    """`delay`: how long a job stays before it moves to message.dispatch; None: until somebody takes it."""

    name: str
    delay: timedelta | None = None


def retry_queue(delay: timedelta) -> str:
    """The name of the queue for a delay, a whole number of seconds: `message.retry.5s`, `message.retry.90s`."""
    seconds = int(delay.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"message.retry.{seconds // size}{unit}"


def queues(ladder: Sequence[timedelta]) -> tuple[Queue, ...]:
    """Every queue of a deployment with this retry ladder. Queues that dead-letter come after their targets."""
    rungs = tuple(Queue(retry_queue(delay), delay) for delay in sorted(set(ladder)))
    return (Queue(DEAD), Queue(IDS), Queue(LAUNCH), Queue(DISPATCH), *rungs)


if __name__ == "__main__":
    from shared.domain.retry import DEFAULT_LADDER

    for queue in queues(DEFAULT_LADDER):
        print(queue.name, f"{queue.delay} → {DISPATCH}" if queue.delay else "")
