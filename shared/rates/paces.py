"""The pace of each dispatcher that is alive: how many messages per second it sends. The leader feeds by them."""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.clock import ticks
from shared.domain.seen import Seen

NOTE_EVERY, REST_EVERY = 1.0, 4.0
"""Seconds from one note of a dispatcher to the next: while its pace changes, and while it stays at nothing."""

ALIVE = timedelta(seconds=10)
"""One that has noted nothing for so long is gone, or stands still, which is the same for whoever feeds."""

_FORGET = timedelta(days=1)


_NOTHING: Mapping[str, Seen] = {}


class Noted(NamedTuple):
    """The note of one dispatcher that is alive. pace: messages per second. seen: of providers, by name."""

    noted_at: datetime
    pace: float
    seen: Mapping[str, Seen]


class PaceNote:
    """Belongs to the thread of a dispatcher that writes. The row is its own, so it waits for nobody."""

    def __init__(self) -> None:
        self._dispatcher = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._noted: float | None = None
        self._open: Mapping[str, str | None] = {}  # why breakers are open, as it was told last
        self._next_at = 0.0

    @property
    def is_due(self) -> bool:
        return ticks() >= self._next_at

    def see(self, is_open: Mapping[str, str | None]) -> None:
        """Why breakers are open now. That a provider went down, or came back, is told at once."""
        if is_open != self._open:
            self._next_at = 0.0

    def write(self, connection: Connection, pace: float, seen: Mapping[str, Seen] = _NOTHING) -> None:
        """In the caller's transaction; to be called when it `is_due`, also if that transaction is for nothing else.

        pace: messages per second; 0: there is nothing to send, or it begins. seen: of providers. One note that is lost
        with its transaction is made up for by the next.
        """
        if self._noted is None:
            connection.execute(_FORGET_GONE, {"age": _FORGET})
        note = {"dispatcher": self._dispatcher, "pace": pace, "providers": json.dumps(seen)}
        connection.execute(_NOTE, note)
        self._open = {name: one["open"] for name, one in seen.items()}
        self._next_at = ticks() + (REST_EVERY if pace == self._noted == 0 else NOTE_EVERY)
        self._noted = pace

    def leave(self, connection: Connection) -> None:
        """This dispatcher takes no more jobs."""
        connection.execute(_LEAVE, {"dispatcher": self._dispatcher})


def paces(connection: Connection) -> Sequence[float]:
    """Messages per second, of every dispatcher that is alive. 0 of one that has nothing to send, or has just begun:
    then nobody knows how fast it could be."""
    return connection.scalars(_PACES, {"alive": ALIVE}).all()


def notes(connection: Connection) -> Sequence[Noted]:
    """What every dispatcher that is alive sees of providers."""
    return [Noted(*row) for row in connection.execute(_NOTES, {"alive": ALIVE})]


_NOTES = text("""
    select noted_at, pace, providers from dispatcher_paces where noted_at > now() - cast(:alive as interval)
""")

_NOTE = text("""
    insert into dispatcher_paces (dispatcher, pace, providers, noted_at)
    values (:dispatcher, :pace, cast(:providers as jsonb), now())
    on conflict (dispatcher) do update
    set pace = excluded.pace, providers = excluded.providers, noted_at = excluded.noted_at
""")

_PACES = text("select pace from dispatcher_paces where noted_at > now() - cast(:alive as interval)")

_LEAVE = text("delete from dispatcher_paces where dispatcher = :dispatcher")

_FORGET_GONE = text("delete from dispatcher_paces where noted_at < now() - cast(:age as interval)")
