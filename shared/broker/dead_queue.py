"""The dead queue of RabbitMQ, looked at from its head: nobody consumes it, so the oldest job lies there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pika

from shared.broker.amqp import Channel, Line
from shared.broker.topology import DEAD


@dataclass(frozen=True, slots=True)
class Dead:
    """since: when it came there; None where nothing says so."""

    tag: int
    body: bytes
    headers: Mapping[str, Any]
    since: datetime | None


class DeadQueue:
    """A look at it: a job that is taken and not removed is back in its place when the look is closed."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._channel = Channel(line)
        self._taken: list[Dead | None] = []
        self._channel.amqp.add_callback(self._on_empty, [pika.spec.Basic.GetEmpty], one_shot=False)

    def take(self) -> Dead | None:
        """The oldest job that this look has not taken yet; None: there is no other."""
        self._taken.clear()
        self._channel.amqp.basic_get(DEAD, self._on_job)
        self._line.wait(lambda: bool(self._taken) or self._channel.close_reason is not None)
        if self._channel.close_reason:
            raise self._channel.close_reason
        return self._taken.pop()

    def remove(self, dead: Dead) -> None:
        self._channel.amqp.basic_ack(dead.tag)

    def close(self) -> None:
        self._channel.close()

    def _on_job(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = properties.headers or {}
        self._taken.append(Dead(method.delivery_tag, body, headers, _since(properties.timestamp, headers)))
        self._line.stir()

    def _on_empty(self, *_: Any) -> None:
        self._taken.append(None)
        self._line.stir()


def _since(buried: int | None, headers: Mapping[str, Any]) -> datetime | None:
    """When we buried it, or when RabbitMQ did because it had come back too often: https://www.rabbitmq.com/docs/dlx."""
    if buried is not None:
        return datetime.fromtimestamp(buried, UTC)
    deaths = headers.get("x-death") or ()
    times = [death["time"] for death in deaths if isinstance(death.get("time"), datetime)]
    return max(times).replace(tzinfo=UTC) if times else None
