"""Requests that go on for long: each ends soon after its key, or the session that it began with, also while it
waits for its client."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from api_service.web.problems import Unauthorized
from api_service.web.refusal import Refusal

FRESH = 2.0
"""How many seconds ago the keys may have been read."""
ENDED = "This API key was revoked, or has expired, or the session is over, while the request was under way."

Asking = Callable[[], object]
"""Whether it may go on: a Refusal if not. Raises SQLAlchemyError."""

Piece = TypeVar("Piece")


class Watched:
    """One request. The watch writes to `refusal`, its thread reads it; the thread writes to `when_over`."""

    def __init__(self, ask: Asking) -> None:
        self.ask = ask
        self.refusal: Refusal | None = None
        self.when_over: Callable[[], object] | None = None
        """Called once by the watch when the key opens nothing any more: the thread may be waiting for the client."""

    def pieces(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """What comes in, as long as the key opens. Raises Unauthorized."""
        for piece in pieces:
            if self.refusal:
                raise Unauthorized(self.refusal, ENDED)
            yield piece


class Watch:
    """Those of this process. `look` is a chore of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()

    @contextmanager
    def over(self, ask: Asking) -> Iterator[Watched]:
        """For as long as the block lasts."""
        one = Watched(ask)
        with self._lock:
            self._watched.add(one)
        try:
            yield one
        finally:
            with self._lock:
                self._watched.discard(one)

    def look(self) -> None:
        """Asks nobody where nothing goes on for long. Raises SQLAlchemyError."""
        with self._lock:
            watched = [one for one in self._watched if one.refusal is None]
        for one in watched:
            found = one.ask()
            if isinstance(found, Refusal):
                one.refusal = found
                if one.when_over:
                    one.when_over()
