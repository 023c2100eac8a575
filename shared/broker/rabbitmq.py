"""The broker on RabbitMQ, 3.10 or later; the only module that knows pika.

Every queue is a durable quorum queue. A job is stored when the broker has confirmed it; one that no queue takes comes
back (`mandatory`). A session is one connection with two channels: jobs travel on one, the other asks about queues,
because a question that the broker does not like costs the channel on which it was asked.

It is built on pika's SelectConnection because a BlockingConnection waits for an answer as long as the broker pleases:
a broker that is frozen, short of memory or without a quorum would hold the caller. Here every wait has an end.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pika
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError, ChannelClosedByBroker

from shared.broker.base import Delivery, printable
from shared.broker.topology import DEAD, DISPATCH, Queue, queues
from shared.clock import ticks
from shared.errors import BrokerUnavailable, SettingsError, Unroutable
from shared.logs import logger

CONNECT_TIMEOUT = 3.0  # for TCP, per address
PATIENCE = 10.0  # for any answer of the broker
HEARTBEAT = 30

# How often a job may come back unacked before it is taken for one that kills its consumers. Not without a limit, and
# not the 20 of RabbitMQ 4, which a few restarts of the consumers use up.
DELIVERY_LIMIT = 100

LOOKS_AT_THE_DEAD = 1_000_000  # a look puts the job back; after the 20th RabbitMQ 4 would drop it

_GOODBYE = 2.0  # for the broker's farewell, before the line is cut
_WINDOW = 100  # jobs on their way to the broker at a time
_PERSISTENT = 2
_NOT_FOUND = 404
_DECLARED_OTHERWISE = 406


class RabbitMQ:
    """heartbeat: seconds; one that the URL names comes first. patience: seconds that any answer may take."""

    def __init__(
        self, url: str, ladder: Sequence[timedelta], *, heartbeat: int = HEARTBEAT, patience: float = PATIENCE
    ) -> None:
        """Raises SettingsError when the URL makes no sense."""
        self._queues = queues(ladder)
        self._patience = patience
        try:
            self._parameters = pika.URLParameters(url)
        except (ValueError, TypeError, SyntaxError):
            # Without the cause: it may quote the password.
            raise SettingsError("BROKER_URL must be of the form amqp://user:password@host:port/vhost.") from None
        self._parameters.socket_timeout = CONNECT_TIMEOUT
        self._parameters.stack_timeout = patience
        self._parameters.blocked_connection_timeout = None  # our own patience ends first
        if "heartbeat" not in parse_qs(urlsplit(url).query):
            self._parameters.heartbeat = heartbeat

    def connect(self) -> "_Session":
        line = _Line(self._parameters, self._patience)
        try:
            with line.used():
                return _Session(line, self._queues)
        except BaseException:
            line.close()
            raise


class _Session:
    def __init__(self, line: "_Line", topology: Sequence[Queue]) -> None:
        self._line = line
        self._known = {queue.name for queue in topology}
        self._prefetch = 0
        self._woken = False
        self._arrived: deque[Delivery] = deque()
        self._handed_out: set[int] = set()  # tags not yet acked
        self._published = 0
        self._unconfirmed: set[int] = set()
        self._refused = False
        self._returned = False

        self._questions = _Channel(line)
        for queue in topology:
            self._declare(queue)
        self._jobs = _Channel(line, vital=True)
        self._jobs.ask(self._jobs.amqp.confirm_delivery, ack_nack_callback=self._on_confirm)
        self._jobs.amqp.add_on_return_callback(self._on_return)
        self._jobs.amqp.add_on_cancel_callback(self._on_cancel)

    def subscribe(self, queues: Sequence[str], prefetch: int) -> None:
        self._require(*queues)
        with self._line.used():
            self._prefetch = prefetch
            # Per consumer: quorum queues know no limit over several. `receive` holds back what is beyond it.
            self._jobs.ask(self._jobs.amqp.basic_qos, prefetch_count=prefetch)
            for queue in queues:
                on_job = partial(self._on_job, queue)
                self._jobs.ask(self._jobs.amqp.basic_consume, queue=queue, on_message_callback=on_job)

    def receive(self, timeout: float) -> list[Delivery]:
        with self._line.used():
            self._line.run(lambda: self._woken or self._room() > 0, timeout)
        self._woken = False
        deliveries = [self._arrived.popleft() for _ in range(self._room())]
        self._handed_out.update(delivery.tag for delivery in deliveries)
        return deliveries

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        with self._line.used():
            for start in range(0, len(bodies), _WINDOW):
                self._publish(queue, bodies[start : start + _WINDOW], {})

    def ack(self, delivery: Delivery) -> None:
        """Leaves with the next call: one that is lost costs a repeat."""
        if delivery.session is self:
            with self._line.used():
                self._ack(delivery.tag)

    def bury(self, delivery: Delivery, reason: str) -> None:
        if delivery.session is self and delivery.tag in self._handed_out:
            with self._line.used():
                self._publish(DEAD, [delivery.body], {"reason": printable(reason), "queue": delivery.queue})
                self._ack(delivery.tag)

    def depth(self, queue: str) -> int:
        with self._line.used():
            try:
                return int(self._ask_about(queue, passive=True).message_count)
            except ChannelClosedByBroker as error:
                if error.reply_code != _NOT_FOUND:
                    raise
                raise self._missing(queue) from error

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

    def _require(self, *names: str) -> None:
        for name in names:
            if name not in self._known:
                raise Unroutable(f"There is no queue {name!r}.")

    def _missing(self, queue: str) -> Exception:
        """A queue of ours that somebody removed is there again after the next connect."""
        if queue in self._known:
            return BrokerUnavailable(f"The queue {queue!r} was removed.")
        return Unroutable(f"There is no queue {queue!r}.")

    def _room(self) -> int:
        """How many of the jobs that arrived may be handed out."""
        return min(len(self._arrived), self._prefetch - len(self._handed_out))

    def _ack(self, tag: int) -> None:
        # The broker ends a session that acks something twice.
        if tag in self._handed_out:
            self._handed_out.remove(tag)
            self._jobs.amqp.basic_ack(tag)

    def _publish(self, queue: str, bodies: Sequence[bytes], headers: dict[str, str]) -> None:
        self._refused = self._returned = False
        properties = pika.BasicProperties(delivery_mode=_PERSISTENT, headers=headers or None)
        for body in bodies:
            self._published += 1
            self._unconfirmed.add(self._published)
            self._jobs.amqp.basic_publish("", queue, body, properties, mandatory=True)
        self._line.wait(lambda: not self._unconfirmed)
        if self._returned:
            raise self._missing(queue)
        if self._refused:
            raise BrokerUnavailable(f"RabbitMQ refused a job for {queue!r}.")

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
        if self._questions.closed:
            self._questions = _Channel(self._line)
        return self._questions.ask(self._questions.amqp.queue_declare, queue=queue, **arguments)

    def _on_job(self, queue: str, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        self._arrived.append(Delivery(queue, body, method.delivery_tag, self))
        self._line.stir()

    def _on_confirm(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        if frame.method.multiple:
            self._unconfirmed = {other for other in self._unconfirmed if other > tag}
        else:
            self._unconfirmed.discard(tag)
        self._refused |= isinstance(frame.method, pika.spec.Basic.Nack)
        self._line.stir()

    def _on_return(self, *_: Any) -> None:
        self._returned = True

    def _on_cancel(self, _frame: Any) -> None:
        self._line.fail(ConnectionError("the subscription was cancelled: the queue was removed or moved"))


class _Line:
    """One connection. `used` around every use of it translates what pika raises."""

    def __init__(self, parameters: Any, patience: float) -> None:
        self._name = f"RabbitMQ at {parameters.host}:{parameters.port}"
        self._patience = patience
        self._failure: BaseException | None = None
        self._blocked = ""  # why the broker takes no jobs
        self._closed = False
        self._loop = _Loop()
        self.amqp = pika.SelectConnection(
            parameters,
            on_open_callback=self.stir,
            on_open_error_callback=lambda _, error: self.fail(error),
            on_close_callback=lambda _, error: self.fail(error),
            custom_ioloop=self._loop,
        )
        self.amqp.add_on_connection_blocked_callback(self._on_blocked)
        self.amqp.add_on_connection_unblocked_callback(self._on_unblocked)
        try:
            with self.used():
                self.wait(lambda: bool(self.amqp.is_open))
        except BaseException:
            self.close()
            raise

    @contextmanager
    def used(self) -> Iterator[None]:
        """Raises BrokerUnavailable when the connection is gone, before or during the block."""
        self._check()
        try:
            yield
        except (AMQPError, OSError) as error:
            self.fail(error)
            self._check()

    def run(self, until: Callable[[], bool], timeout: float) -> bool:
        """Sends, receives and beats until the condition holds, at least once; False when the time was over first."""
        deadline = ticks() + timeout
        while True:
            left = 0.0 if until() else max(0.0, deadline - ticks())
            timer = self._loop.call_later(left, self._loop.stop)
            try:
                self._loop.start()
            finally:
                self._loop.remove_timeout(timer)
            self._check()
            if until():
                return True
            if ticks() >= deadline:
                return False

    def wait(self, until: Callable[[], bool]) -> None:
        """Like `run`; a connection that is silent for too long is taken for lost."""
        if not self.run(until, self._patience):
            why = f", it takes no jobs: {self._blocked}" if self._blocked else ""
            self.fail(TimeoutError(f"no answer within {self._patience:g} s{why}"))
            self._check()

    def fail(self, error: BaseException) -> None:
        """From now on the connection counts as lost."""
        self._failure = self._failure or error
        self.stir()

    def stir(self, *_: Any) -> None:
        """Makes `run` look at its condition."""
        self._loop.stop()

    def wake(self) -> None:
        """As `stir`, from any thread; never raises."""
        with suppress(OSError):
            self._loop.add_callback_threadsafe(self._loop.stop)

    def close(self) -> None:
        """Takes leave, and cuts the line when there is no answer. Never raises; twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if not self._failure:
            with suppress(Exception):
                self.amqp.close()
                self.run(lambda: bool(self.amqp.is_closed), _GOODBYE)
        self._failure = None
        with suppress(Exception):
            self._loop.cut()
            self.run(lambda: bool(self.amqp.is_closed), _GOODBYE)
        self._failure = ConnectionError("the session is closed")
        with suppress(Exception):
            self._loop.close()

    def _check(self) -> None:
        if self._failure:
            raise BrokerUnavailable(f"{self._name}: {_words(self._failure)}") from self._failure

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        self._blocked = str(frame.method.reason)
        logger().warning("broker_blocked", reason=self._blocked)

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = ""
        logger().info("broker_unblocked")


class _Channel:
    """vital: the connection is of no use without it."""

    def __init__(self, line: _Line, *, vital: bool = False) -> None:
        self._line = line
        self._vital = vital
        self.closed: Exception | None = None
        self.amqp = line.amqp.channel(on_open_callback=line.stir)
        self.amqp.add_on_close_callback(self._on_close)
        line.wait(lambda: bool(self.amqp.is_open) or self.closed is not None)

    def ask(self, method: Callable[..., object], **arguments: Any) -> Any:
        """What the broker answers to a method of the channel. Raises ChannelClosedByBroker when it says no."""
        answers: list[Any] = []

        def answered(frame: Any) -> None:
            answers.append(frame.method)
            self._line.stir()

        method(**arguments, callback=answered)
        self._line.wait(lambda: bool(answers) or self.closed is not None)
        if not answers and self.closed:
            raise self.closed
        return answers[0]

    def _on_close(self, _channel: Any, reason: Exception) -> None:
        self.closed = reason
        if self._vital:
            self._line.fail(reason)
        self._line.stir()


class _Loop(IOLoop):  # type: ignore[misc]
    """pika's loop, which also knows the socket: the only way to leave a broker that does not even say goodbye."""

    def __init__(self) -> None:
        super().__init__()
        self._descriptor: int | None = None

    def add_handler(self, fd: int, handler: Callable[[int, int], None], events: int) -> None:
        super().add_handler(fd, handler, events)
        self._descriptor = fd

    def remove_handler(self, fd: int) -> None:
        super().remove_handler(fd)
        self._descriptor = None

    def cut(self) -> None:
        """pika finds the connection closed by the other side."""
        if self._descriptor is not None:
            with socket.fromfd(self._descriptor, socket.AF_INET, socket.SOCK_STREAM) as same:
                same.shutdown(socket.SHUT_RDWR)


def _arguments(queue: Queue) -> dict[str, str | int]:
    """The arguments of a queue, as printed in docs/architecture.md."""
    if queue.delay:
        milliseconds = int(queue.delay.total_seconds() * 1000)
        return {"x-queue-type": "quorum", "x-message-ttl": milliseconds, **_dead_lettering(DISPATCH)}
    if queue.name == DEAD:
        return {"x-queue-type": "quorum", "x-delivery-limit": LOOKS_AT_THE_DEAD}
    return {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT, **_dead_lettering(DEAD)}


def _dead_lettering(target: str) -> dict[str, str | int]:
    """Without the strategy a job is lost when the target does not take it; it needs that overflow."""
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": target,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _words(error: BaseException) -> str:
    """What an error says. pika wraps them; the innermost is the one that says something."""
    for inner in (*getattr(error, "exceptions", ())[-1:], getattr(error, "exception", None), *error.args):
        if isinstance(inner, BaseException):
            return _words(inner)
    return str(getattr(error, "reply_text", "") or str(error) or repr(error))
