"""Reading a body that is too large to be held: piece by piece, within limits of size and time.

What comes is worked on while the rest is still on its way, so a client that is slow, or stops, costs a thread and no
connection of the database. How long the thread waits for them is the server's to say (`server.file_stream`).
"""

from collections.abc import Iterator

from flask import Request
from webargs.flaskparser import abort
from werkzeug.exceptions import RequestEntityTooLarge

from shared import clock

MAX_BYTES = 2**30
MAX_SECONDS = 3600.0
SLOWEST = 8 * 1024
"""Bytes a second that a client has to send."""
_PIECE = 64 * 1024

BROKEN_OFF = "The body broke off before its end."
TOO_SLOW = f"The body came more slowly than {SLOWEST // 1024} KiB a second."


def pieces(request: Request) -> Iterator[bytes]:
    """The body as it comes in, also where its length is not known. Answers 400 where it breaks off, 408 where it takes
    too long, 413 where it is too large."""
    deadline = clock.ticks() + MAX_SECONDS
    request.max_content_length = MAX_BYTES
    received = 0
    try:
        while piece := request.stream.read(_PIECE):
            received += len(piece)
            yield piece
            if clock.ticks() > deadline:
                abort(408, message=f"The body took more than {MAX_SECONDS / 60:g} minutes.")
    except RequestEntityTooLarge as error:
        abort(413, exc=error, message=f"The body has more than {MAX_BYTES // 2**20} MiB.")
    if request.content_length is not None and received < request.content_length:
        abort(400, message=BROKEN_OFF)
