"""Reading a body that is too large to be held: piece by piece, within limits of size and time.

What comes is worked on while the rest is still on its way, so a client that is slow, or stops, costs a thread and no
connection of the database. How long the thread waits for them is the server's to say (`server.file_stream`).
"""

from collections.abc import Iterator

from flask import Request, g
from werkzeug.exceptions import RequestEntityTooLarge

from api_service.web.problems import BrokenOff, TooLarge, TooSlow
from shared import clock

MAX_BYTES = 2**30
MAX_SECONDS = 3600.0
SLOWEST = 8 * 1024
"""Bytes a second that a client has to send."""
_PIECE = 64 * 1024

BROKEN_OFF = "The body broke off before its end."
TOO_SLOW = f"The body came more slowly than {SLOWEST // 1024} KiB a second."


def peek(request: Request, size: int) -> bytes:
    """The beginning of the body, which `pieces` gives all the same. Raises BrokenOff, TooSlow, TooLarge."""
    request.max_content_length = MAX_BYTES
    beginning = b""
    try:
        while len(beginning) < size and (piece := request.stream.read(size - len(beginning))):
            beginning += piece
    except RequestEntityTooLarge as error:
        raise _too_large() from error
    g.beginning = beginning
    return beginning


def pieces(request: Request) -> Iterator[bytes]:
    """The body as it comes in, also where its length is not known. Raises BrokenOff, TooSlow, TooLarge."""
    deadline = clock.ticks() + MAX_SECONDS
    request.max_content_length = MAX_BYTES
    received = 0
    try:
        while piece := g.pop("beginning", b"") or request.stream.read(_PIECE):
            received += len(piece)
            yield piece
            if clock.ticks() > deadline:
                raise TooSlow(f"The body took more than {MAX_SECONDS / 60:g} minutes.")
    except RequestEntityTooLarge as error:
        raise _too_large() from error
    if request.content_length is not None and received < request.content_length:
        raise BrokenOff(BROKEN_OFF)


def _too_large() -> TooLarge:
    return TooLarge(f"The body has more than {MAX_BYTES // 2**20} MiB.")
