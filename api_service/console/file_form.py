"""A form with a file, read while it comes in: the file may be larger than the memory is.

The fields stand before the file, as they do on the page; browsers send them in that order (HTML, "constructing the
entry list").
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from api_service.console import forms
from api_service.web import upload
from api_service.web.problems import BrokenOff, WrongType

_MOST_FIELDS, _LONGEST = 8, 4096
"""Bytes of a field; what stands beyond is not kept."""
_HELD = 2**20
"""Bytes that wait for the end of what they belong to: of a head, or of what looks like a boundary."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """name: of the file, as its owner has it. pieces: its content, which can be gone through once."""

    fields: Mapping[str, str]
    name: str
    pieces: Iterator[bytes]


def read(request: Request) -> FileForm:
    """Everything before the file's content. Raises StaleForm, WrongType, and while the content comes in what
    `upload.pieces` raises."""
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary.isascii() or not boundary:
        raise WrongType("The form must be sent as multipart/form-data.")
    events = _events(MultipartDecoder(boundary.encode("ascii"), max_form_memory_size=_HELD), upload.pieces(request))
    fields: dict[str, str] = {}
    for event in events:
        if isinstance(event, File):
            forms.check_token(fields.get(forms.FIELD, ""))
            return FileForm(fields, event.filename or "", _content(events))
        if isinstance(event, Field) and len(fields) < _MOST_FIELDS:
            fields[event.name] = _beginning(events).decode("utf-8", "replace")
    raise BrokenOff("The form has no file.")


def _events(decoder: MultipartDecoder, pieces: Iterable[bytes]) -> Iterator[Event]:
    """Raises BrokenOff, and whatever the pieces raise."""
    for piece in pieces:
        try:
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), (NeedData, Epilogue)):
                yield event
        except (ValueError, RequestEntityTooLarge) as error:
            raise BrokenOff("The form makes no sense.") from error
        if isinstance(event, Epilogue):
            return
    raise BrokenOff(upload.BROKEN_OFF)


def _beginning(events: Iterator[Event]) -> bytes:
    """Of the field that has begun."""
    kept = b""
    for data in _content(events):
        kept += data[: _LONGEST - len(kept)]
    return kept


def _content(events: Iterator[Event]) -> Iterator[bytes]:
    """Of the field or file that has begun. What stands behind the file is not read."""
    for event in events:
        if isinstance(event, Data):
            if event.data:
                yield event.data
            if not event.more_data:
                return
