"""The port that both brokers implement; `tests/contract` holds them to it.

A `Session` belongs to the thread that uses it; only `wake` may be called from another one. Delivery is at least once:
what was received and not acked comes again, to this or another consumer, after the session ends in whatever way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Delivery:
    """One job as it was received. `tag` means something only to its origin, a part of the session."""

    queue: str
    body: bytes
    tag: int
    origin: object


class Session(Protocol):
    """One connection. Every method but `wake` and `close` raises BrokerUnavailable when the connection is gone."""

    def subscribe(self, queues: Sequence[str], prefetch: int) -> None:
        """From now on jobs of these queues arrive, at most `prefetch` of them unacked at a time. Once in a session."""

    def receive(self, timeout: float) -> list[Delivery]:
        """Jobs that have arrived, waiting at most `timeout` seconds for the first.

        [] if none came, or `wake` was called.

        Heartbeats are served here: call it at least every few seconds, with 0 if need be.
        """

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Stores the jobs durably; returns when the broker has confirmed all of them.

        Raises Unroutable when there is no such queue. After BrokerUnavailable any of them may have been stored.
        """

    def ack(self, delivery: Delivery) -> None:
        """The job is done with. Nothing happens when it was received by another session."""

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Moves the job to the dead queue with its reason, and acks it."""

    def forget_dead(self, age: timedelta, limit: int) -> int:
        """Removes jobs that have been in the dead queue for longer than that, at most `limit`; how many it removed.

        The others stay as they are, with their reasons.
        """

    def depth(self, queue: str) -> int:
        """How many jobs wait in the queue, without those that were received and not yet acked."""

    def remember(self, number: int) -> None:
        """Keeps a number, the highest id that was given, where a restore of the database does not reach it."""

    def recall(self) -> int:
        """The number that was kept last, by any session; 0: none, or this broker can keep none."""

    def wake(self) -> None:
        """Ends a running or the next `receive` early. From any thread; never raises."""

    def close(self) -> None:
        """Gives back what was received and not acked. Never raises; twice is harmless."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Broker(Protocol):
    """Where sessions come from. Free of threads and connections itself; safe to share."""

    def connect(self) -> Session:
        """A new session; the queues of the topology exist afterwards. Raises BrokerUnavailable."""


def printable(reason: str) -> str:
    """A reason as every broker can store it: not endless, no NUL, no half of a surrogate pair."""
    return reason[:1000].replace("\0", "").encode("utf-8", "replace").decode()
