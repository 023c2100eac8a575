"""Reading a body that is too large to be held: piece by piece, within limits of size and time.

What comes is worked on while the rest is still on its way, so a client that is slow, or stops, costs a thread and no
connection of the database.
"""

from collections.abc import Iterator

from flask import Request
from gunicorn.http.errors import ParseException
from webargs.flaskparser import abort
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from api_service.reception import SLOWEST, TooSlow
from shared import clock

MAX_BYTES = 2**30
MAX_SECONDS = 3600.0
PATIENCE = 30.0
"""Seconds that the client may keep us waiting in all, beyond what the slowest rate allows (`reception.SLOWEST`)."""
_PIECE = 16 * 1024  # small, because a read returns when all of it is there


def pieces(request: Request) -> Iterator[bytes]:
    """The body as it comes in, also where its length is not known. Answers 400 where it breaks off, 408 where it comes
    too slowly, 413 where it is too large."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.be_patient(PATIENCE)
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
    except ParseException as error:
        abort(400, exc=error, message=BROKEN_OFF)
    except ClientDisconnected as error:
        if isinstance(error.__context__, TooSlow):
            abort(408, exc=error, message=TOO_SLOW)
        abort(400, exc=error, message=BROKEN_OFF)
    if request.content_length is not None and received < request.content_length:
        abort(400, message=BROKEN_OFF)


TOO_SLOW = f"The body came more slowly than {SLOWEST // 1024} KiB a second."
BROKEN_OFF = "The body broke off before its end."
