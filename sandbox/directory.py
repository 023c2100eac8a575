"""The tables of a deployment under test, reached directly where its HTTP API would take too long.

A million clients go in within seconds by COPY, which the API, one client per request, takes most of an hour for; the
state of a million messages comes out in one query.
"""

import io
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from typing import Any

import psycopg2

from sandbox.numbering import Client
from shared.domain.message import MessageState

_BLOCK = 50_000


def fill(database_url: str, clients: Iterable[Client]) -> int:
    """Writes the clients into the directory, all or none; how many. Memory does not grow with their number."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.copy_expert(
            "copy clients (phone, operator_code, timezone, tag) from stdin", io.BufferedReader(_Lines(clients))
        )
        copied = cursor.rowcount
        cursor.execute("analyze clients")
    return copied


def messages(database_url: str, mailing_id: int) -> dict[MessageState, set[int]]:
    """The ids of a mailing's messages, by state."""
    found: dict[MessageState, set[int]] = {state: set() for state in MessageState}
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor("messages") as cursor:
        cursor.itersize = _BLOCK
        cursor.execute("select status, id from messages where mailing_id = %s", (mailing_id,))
        for status, message_id in cursor:
            found[MessageState(status)].add(message_id)
    return found


class _Lines(io.RawIOBase):
    """What COPY reads: a file of one line per client, made as it is read."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._lines = ("\t".join(client).encode() + b"\n" for client in clients)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._rest:
            self._rest = b"".join(islice(self._lines, 1000))
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
