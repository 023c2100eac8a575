"""One connection to an AMQP broker on which every wait has an end.

It is built on pika's SelectConnection because a BlockingConnection waits for an answer as long as the broker pleases:
a broker that is frozen, short of memory or without a quorum would hold the caller.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError

from shared.clock import ticks
from shared.domain.errors import BrokerUnavailable
from shared.logs import logger

_GOODBYE = 2.0  # for the broker's farewell, before the line is cut


class Line:
    """`used` around every use of it translates what pika raises. patience: seconds that the answers to one use may
    take, all together. opening: the same for the first use, which connects."""

    def __init__(self, parameters: Any, patience: float, opening: float) -> None:
        self._name = f"RabbitMQ at {parameters.host}:{parameters.port}"
        self.patience = opening
        self._failure: BaseException | None = None
        self._blocked = ""  # why the broker takes no jobs
        self._closed = False
        self._deadline = 0.0
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
        self.patience = patience

    @contextmanager
    def used(self) -> Iterator[None]:
        """Raises BrokerUnavailable when the connection is gone, before or during the block."""
        self._check()
        self._deadline = ticks() + self.patience
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

    @property
    def left(self) -> float:
        """Of the patience, in this use of the line; 0 when it is over."""
        return max(0.0, self._deadline - ticks())

    def wait(self, until: Callable[[], bool]) -> None:
        """Like `run`, as long as the use may take; a connection that is silent for too long is taken for lost."""
        if not self.run(until, self.left):
            why = f", it takes no jobs: {self._blocked}" if self._blocked else ""
            self.fail(TimeoutError(f"no answer within {self.patience:g} s{why}"))
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


class Channel:
    """vital: the connection is of no use without it."""

    def __init__(self, line: Line, *, vital: bool = False) -> None:
        self._line = line
        self._vital = vital
        self.close_reason: Exception | None = None
        self.amqp = line.amqp.channel(on_open_callback=line.stir)
        self.amqp.add_on_close_callback(self._on_close)
        line.wait(lambda: bool(self.amqp.is_open) or self.close_reason is not None)

    def ask(self, method: Callable[..., object], **arguments: Any) -> Any:
        """What the broker answers to a method of the channel. Raises ChannelClosedByBroker when it says no."""
        answers: list[Any] = []

        def answered(frame: Any) -> None:
            answers.append(frame.method)
            self._line.stir()

        method(**arguments, callback=answered)
        self._line.wait(lambda: bool(answers) or self.close_reason is not None)
        if not answers and self.close_reason:
            raise self.close_reason
        return answers[0]

    def close(self) -> None:
        """Returns when the broker knows."""
        self._vital = False
        if not self.close_reason:
            self.amqp.close()
            self._line.wait(lambda: self.close_reason is not None)

    def _on_close(self, _channel: Any, reason: Exception) -> None:
        self.close_reason = reason
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


def _words(error: BaseException) -> str:
    """What an error says. pika wraps them; the innermost is the one that says something."""
    for inner in (*getattr(error, "exceptions", ())[-1:], getattr(error, "exception", None), *error.args):
        if isinstance(inner, BaseException):
            return _words(inner)
    return str(getattr(error, "reply_text", "") or str(error) or repr(error))
