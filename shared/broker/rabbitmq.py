"""The broker on RabbitMQ, 3.10 or later.

Every queue is a durable quorum queue. A job is stored when the broker has confirmed it; one that no queue takes comes
back (`mandatory`). A session is one connection with a channel for each direction, and one for questions about queues,
because a question that the broker does not like costs the channel on which it was asked.
"""

import math
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pika
from pika.exceptions import ChannelClosedByBroker

from shared.broker.amqp import Channel, Line
from shared.broker.base import Delivery, printable
from shared.broker.dead_queue import DeadQueue
from shared.broker.topology import DEAD, DISPATCH, IDS, Queue, queues
from shared.clock import now, ticks
from shared.domain.errors import BrokerUnavailable, SettingsError, Unroutable
from shared.domain.hosts import nodes
from shared.logs import logger

CONNECT_TIMEOUT = 3.0  # for TCP, per address
PATIENCE = 10.0  # for all that one call asks of the broker
HEARTBEAT = 30

# Seconds without a job, after which a subscription is made anew. A queue that is deleted and declared again in the same
# moment can leave consumers without a word: RabbitMQ (3.10 was seen to) counts its jobs as delivered to them, while
# nothing arrives, and no cancel either. No figure that a client can ask for shows that; a new channel sets it right.
RENEW_AFTER = 3.0

# How often a job may come back unacked before it is taken for one that kills its consumers. Not without a limit, and
# not the 20 of RabbitMQ 4, which a few restarts of the consumers use up.
DELIVERY_LIMIT = 100

MANY_LOOKS = 1_000_000  # a look puts the job back; after the 20th RabbitMQ 4 would drop it

_LOOKS = 4
_LOOK_PAUSE = 0.05

_WINDOW = 100  # jobs on their way to the broker at a time
_REFUSED_PAUSE = 0.1
_PERSISTENT = 2
_NOT_FOUND = 404
_DECLARED_OTHERWISE = 406


class RabbitMQ:
    """All in seconds. heartbeat: one that the URL names comes first. patience: what any call may take, beyond the time
    that it was told to wait. renew_after: see RENEW_AFTER."""

    def __init__(
        self,
        url: str,
        ladder: Sequence[timedelta],
        *,
        heartbeat: int = HEARTBEAT,
        patience: float = PATIENCE,
        renew_after: float = RENEW_AFTER,
    ) -> None:
        """Raises SettingsError when the URL makes no sense."""
        self._queues = queues(ladder)
        self._patience = patience
        self._renew_after = renew_after
        self._nodes = [_parameters(node, heartbeat, patience) for node in nodes(url)]
        self._next = secrets.randbelow(len(self._nodes))  # written by any thread: it is where to begin, and no more

    def connect(self) -> "_Session":
        """At the node that served last, or else at the next one that does."""
        first, failures = self._next, []
        for number in range(first, first + len(self._nodes)):
            try:
                session = self._connect_to(self._nodes[number % len(self._nodes)])
            except BrokerUnavailable as error:
                failures.append(error)
            else:
                self._next = number % len(self._nodes)
                return session
        if len(failures) == 1:
            raise failures[0]
        raise BrokerUnavailable(" ".join(map(str, failures))) from failures[-1]

    def _connect_to(self, node: Any) -> "_Session":
        """All nodes together have the patience to say that they are there."""
        line = Line(node, self._patience, opening=self._patience / len(self._nodes))
        try:
            with line.used():
                return _Session(line, self._queues, self._renew_after)
        except BaseException:
            line.close()
            raise


class _Session:
    def __init__(self, line: Line, topology: Sequence[Queue], renew_after: float) -> None:
        self._line = line
        self._known = {queue.name for queue in topology}
        self._renew_after = renew_after
        self._woken = False
        self._questions = Channel(line)
        for queue in topology:
            with line.used():  # each takes its time, the first time
                self._declare(queue)
        self._outbox = _Outbox(line)
        self._inbox: _Inbox | None = None

    def subscribe(self, queues: Sequence[str], prefetch: int) -> None:
        for name in queues:
            if name not in self._known:
                raise Unroutable(f"There is no queue {name!r}.")
        with self._line.used():
            self._inbox = _Inbox(self._line, queues, prefetch)

    def receive(self, timeout: float) -> list[Delivery]:
        deadline = ticks() + timeout
        with self._line.used():
            while not self._line.run(self._has_news, min(deadline, self._renew_at()) - ticks()) and ticks() < deadline:
                self._renew()
        self._woken = False
        return self._inbox.take() if self._inbox else []

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        with self._line.used():
            for start in range(0, len(bodies), _WINDOW):
                self._publish(queue, bodies[start : start + _WINDOW], {})

    def ack(self, delivery: Delivery) -> None:
        """Leaves with the next call: one that is lost costs a repeat."""
        with self._line.used():
            if self._inbox and self._inbox.holds(delivery):
                self._inbox.ack(delivery)

    def bury(self, delivery: Delivery, reason: str) -> None:
        with self._line.used():
            if self._inbox and self._inbox.holds(delivery):
                self._publish(DEAD, [delivery.body], {"reason": printable(reason), "queue": delivery.queue})
                self._inbox.ack(delivery)

    def forget_dead(self, age: timedelta, limit: int) -> int:
        """One of which nothing says how old it is goes to the end of the queue, as one that came now."""
        removed = 0
        with self._line.used():
            look = DeadQueue(self._line)
            for _ in range(limit):
                dead = look.take()
                if dead is None or (dead.since and now() - dead.since < age):
                    break
                if dead.since is None:
                    self._publish(DEAD, [dead.body], dead.headers)
                look.remove(dead)
                removed += dead.since is not None
            look.close()
        return removed

    def depth(self, queue: str) -> int:
        with self._line.used():
            try:
                return int(self._ask_about(queue, passive=True).message_count)
            except ChannelClosedByBroker as error:
                if error.reply_code != _NOT_FOUND:
                    raise
                raise self._missing(queue) from error

    def remember(self, number: int) -> None:
        """The queue holds one job, and the newest drives the others out."""
        with self._line.used():
            self._publish(IDS, [str(number).encode()], {})

    def recall(self) -> int:
        """The job is looked at and goes back, with the channel. Meanwhile others see none, and look again."""
        for _ in range(_LOOKS):
            with self._line.used():
                if body := self._look_at(IDS):
                    return int(body) if body.isdigit() else 0
                self._line.run(lambda: False, _LOOK_PAUSE)
        return 0

    def wake(self) -> None:
        self._woken = True
        self._line.wake()

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_at(self, queue: str) -> bytes | None:
        """The first job of a queue, which stays there; None: there is none."""
        channel, found = Channel(self._line), list[bytes | None]()

        def answered(*answer: Any) -> None:
            found.append(answer[-1] if len(answer) > 1 else None)
            self._line.stir()

        channel.amqp.add_callback(answered, [pika.spec.Basic.GetEmpty])
        channel.amqp.basic_get(queue, answered)
        self._line.wait(lambda: bool(found) or channel.close_reason is not None)
        channel.close()
        return found[0] if found else None

    def _has_news(self) -> bool:
        return self._woken or (self._inbox is not None and self._inbox.room > 0)

    def _renew_at(self) -> float:
        return math.inf if self._inbox is None else self._inbox.silent_since + self._renew_after

    def _renew(self) -> None:
        if self._inbox:
            with self._line.used():
                self._inbox = self._inbox.renewed()

    def _publish(self, queue: str, bodies: Sequence[bytes], headers: Mapping[str, Any]) -> None:
        """A quorum queue refuses jobs while it has no leader, as in the first moment of its life: they are tried again
        for half the patience. The other half is for the answers.

        On a new channel: one whose first job was refused because the node of the leader was gone asks that node (3.10
        does) for as long as it lives, however long ago the queue has another leader.
        """
        while bodies := self._send(queue, bodies, headers):
            if self._line.left < self._line.patience / 2:
                raise BrokerUnavailable(f"RabbitMQ refuses jobs for {queue!r}.")
            self._line.run(lambda: False, _REFUSED_PAUSE)
            self._outbox = self._outbox.renewed()

    def _send(self, queue: str, bodies: Sequence[bytes], headers: Mapping[str, Any]) -> Sequence[bytes]:
        """Those that were refused."""
        refused, returned = self._outbox.send(queue, bodies, headers)
        if returned:
            raise self._missing(queue)
        return refused

    def _missing(self, queue: str) -> Exception:
        """A queue of ours that somebody removed is there again after the next connect."""
        if queue in self._known:
            return BrokerUnavailable(f"The queue {queue!r} was removed.")
        return Unroutable(f"There is no queue {queue!r}.")

    def _declare(self, queue: Queue) -> None:
        try:
            self._ask_about(queue.name, durable=True, arguments=_arguments(queue))
        except ChannelClosedByBroker as error:
            if error.reply_code != _DECLARED_OTHERWISE:
                raise
            # Somebody knows better, or it is older than this version: it still takes jobs, and nothing is lost.
            logger().warning("queue_declared_otherwise", queue=queue.name, difference=error.reply_text)
            self._ask_about(queue.name, passive=True)

    def _ask_about(self, queue: str, **arguments: Any) -> Any:
        if self._questions.close_reason:
            self._questions = Channel(self._line)
        return self._questions.ask(self._questions.amqp.queue_declare, queue=queue, **arguments)


class _Inbox:
    """What one subscription brings."""

    def __init__(self, line: Line, queues: Sequence[str], prefetch: int) -> None:
        self._line = line
        self._queues = queues
        self._prefetch = prefetch
        self._arrived: deque[Delivery] = deque()
        self._unacked: set[int] = set()  # tags of what was taken
        self._busy_at = ticks()
        self._channel = Channel(line, vital=True)
        self._channel.amqp.add_on_cancel_callback(self._on_cancel)
        # Per consumer: quorum queues know no limit over several. `take` holds back what is beyond it.
        self._channel.ask(self._channel.amqp.basic_qos, prefetch_count=prefetch)
        for queue in queues:
            on_job = partial(self._on_job, queue)
            self._channel.ask(self._channel.amqp.basic_consume, queue=queue, on_message_callback=on_job)

    @property
    def room(self) -> int:
        """How many jobs may be taken now."""
        return min(len(self._arrived), self._prefetch - len(self._unacked))

    @property
    def silent_since(self) -> float:
        """When there was a job last; never, while one is unacked or arrives."""
        return math.inf if self._arrived or self._unacked else self._busy_at

    def take(self) -> list[Delivery]:
        deliveries = [self._arrived.popleft() for _ in range(self.room)]
        self._unacked.update(delivery.tag for delivery in deliveries)
        return deliveries

    def holds(self, delivery: Delivery) -> bool:
        return delivery.origin is self and delivery.tag in self._unacked

    def ack(self, delivery: Delivery) -> None:
        """Of one that it holds: the broker ends a session that acks something twice."""
        self._unacked.remove(delivery.tag)
        self._busy_at = ticks()
        self._channel.amqp.basic_ack(delivery.tag)

    def renewed(self) -> "_Inbox":
        """The same subscription on a new channel. With the old one goes whatever arrived there last: it comes again."""
        self._channel.close()
        return _Inbox(self._line, self._queues, self._prefetch)

    def _on_job(self, queue: str, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        self._arrived.append(Delivery(queue, body, method.delivery_tag, self))
        self._line.stir()

    def _on_cancel(self, _frame: Any) -> None:
        self._line.fail(ConnectionError("the subscription was cancelled: the queue was removed or moved"))


class _Outbox:
    """Jobs on their way to the broker."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._sent = 0
        self._unconfirmed: dict[int, bytes] = {}  # by number
        self._refused: list[bytes] = []
        self._returned = False
        self._channel = Channel(line, vital=True)
        self._channel.ask(self._channel.amqp.confirm_delivery, ack_nack_callback=self._on_confirm)
        self._channel.amqp.add_on_return_callback(self._on_return)

    def send(self, queue: str, bodies: Sequence[bytes], headers: Mapping[str, Any]) -> tuple[Sequence[bytes], bool]:
        """Returns when the broker has spoken about all of them: those that it refused, and whether no queue took one of
        the others."""
        self._refused, self._returned = [], False
        buried = int(now().timestamp()) if queue == DEAD else None
        properties = pika.BasicProperties(delivery_mode=_PERSISTENT, headers=dict(headers) or None, timestamp=buried)
        for body in bodies:
            self._sent += 1
            self._unconfirmed[self._sent] = body
            self._channel.amqp.basic_publish("", queue, body, properties, mandatory=True)
        self._line.wait(lambda: not self._unconfirmed)
        return self._refused, self._returned

    def renewed(self) -> "_Outbox":
        """The same on a new channel. Nothing may be on its way."""
        self._channel.close()
        return _Outbox(self._line)

    def _on_confirm(self, frame: Any) -> None:
        last, refused = frame.method.delivery_tag, isinstance(frame.method, pika.spec.Basic.Nack)
        numbers = [number for number in self._unconfirmed if number <= last] if frame.method.multiple else [last]
        for number in numbers:
            body = self._unconfirmed.pop(number)
            if refused:
                self._refused.append(body)
        self._line.stir()

    def _on_return(self, *_: Any) -> None:
        self._returned = True


def _parameters(url: str, heartbeat: int, patience: float) -> Any:
    """Of one node. Raises SettingsError."""
    try:
        found = pika.URLParameters(url)
    except (ValueError, TypeError, SyntaxError):
        # Without the cause: it may quote the password.
        raise SettingsError("BROKER_URL must be of the form amqp://user:password@host:port/vhost.") from None
    found.socket_timeout = CONNECT_TIMEOUT
    found.stack_timeout = patience
    found.blocked_connection_timeout = None  # our own patience ends first
    if "heartbeat" not in parse_qs(urlsplit(url).query):
        found.heartbeat = heartbeat
    return found


def _arguments(queue: Queue) -> dict[str, str | int]:
    """The arguments of a queue, as printed in docs/architecture.md."""
    if queue.delay:
        milliseconds = int(queue.delay.total_seconds() * 1000)
        return {"x-queue-type": "quorum", "x-message-ttl": milliseconds, **_dead_lettering(DISPATCH)}
    if queue.name == IDS:
        return {"x-queue-type": "quorum", "x-max-length": 1, "x-delivery-limit": MANY_LOOKS}
    if queue.name == DEAD:
        return {"x-queue-type": "quorum", "x-delivery-limit": MANY_LOOKS}
    return {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT, **_dead_lettering(DEAD)}


def _dead_lettering(target: str) -> dict[str, str | int]:
    """Without the strategy a job is lost when the target does not take it; it needs that overflow."""
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": target,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
