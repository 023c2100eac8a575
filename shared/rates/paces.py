"""The pace of each dispatcher that is alive: how many messages per second it sends. The leader feeds by them."""

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.clock import ticks

NOTE_EVERY, REST_EVERY = 1.0, 4.0
"""Seconds from one note of a dispatcher to the next: while its pace changes, and while it stays at nothing."""

ALIVE = timedelta(seconds=10)
"""One that has noted nothing for so long is gone, or stands still, which is the same for whoever feeds."""

_FORGET = timedelta(days=1)


class Trouble(StrEnum):
    """What a dispatcher has with the provider."""

    DOWN = "down"  # its breaker is open
    LIMITED = "limited"  # it was told lately that it is too much


class Dispatcher(NamedTuple):
    """One that is alive. trouble: None: there is none."""

    pace: float
    trouble: Trouble | None


class PaceNote:
    """Belongs to the thread of a dispatcher that writes. The row is its own, so it waits for nobody."""

    def __init__(self) -> None:
        self._dispatcher = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._noted: float | None = None
        self._next_at = 0.0

    @property
    def is_due(self) -> bool:
        return ticks() >= self._next_at

    def write(self, connection: Connection, pace: float, trouble: Trouble | None = None) -> None:
        """In the caller's transaction; to be called when it `is_due`, also if that transaction is for nothing else.

        pace: messages per second; 0: there is nothing to send, or it begins. One note that is lost with its
        transaction is made up for by the next.
        """
        if self._noted is None:
            connection.execute(_FORGET_GONE, {"age": _FORGET})
        connection.execute(_NOTE, {"dispatcher": self._dispatcher, "pace": pace, "trouble": trouble})
        self._next_at = ticks() + (REST_EVERY if pace == self._noted == 0 else NOTE_EVERY)
        self._noted = pace

    def leave(self, connection: Connection) -> None:
        """This dispatcher takes no more jobs."""
        connection.execute(_LEAVE, {"dispatcher": self._dispatcher})


def paces(connection: Connection) -> Sequence[float]:
    """Messages per second, of every dispatcher that is alive. 0 of one that has nothing to send, or has just begun:
    then nobody knows how fast it could be."""
    return connection.scalars(_PACES, {"alive": ALIVE}).all()


def read_dispatchers(connection: Connection) -> Sequence[Dispatcher]:
    """Every one that is alive, with what it has with the provider."""
    rows = connection.execute(_DISPATCHERS, {"alive": ALIVE})
    return [Dispatcher(row.pace, row.trouble and Trouble(row.trouble)) for row in rows]


_NOTE = text("""
    insert into dispatcher_paces (dispatcher, pace, noted_at, trouble) values (:dispatcher, :pace, now(), :trouble)
    on conflict (dispatcher) do update
    set pace = excluded.pace, noted_at = excluded.noted_at, trouble = excluded.trouble
""")

_DISPATCHERS = text("select pace, trouble from dispatcher_paces where noted_at > now() - cast(:alive as interval)")

_PACES = text("select pace from dispatcher_paces where noted_at > now() - cast(:alive as interval)")

_LEAVE = text("delete from dispatcher_paces where dispatcher = :dispatcher")

_FORGET_GONE = text("delete from dispatcher_paces where noted_at < now() - cast(:age as interval)")
