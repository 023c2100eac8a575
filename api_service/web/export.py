"""A list as a file: all of it in one answer, which is written while it is read.

?format=csv         or `Accept: text/csv`: for a spreadsheet
?format=ndjson      or `Accept: application/x-ndjson`: an object a line
?format=json        one array, of the objects that pages have

Pages are read one after the other, each by a statement of its own, so no transaction waits for whoever takes the file.
A file that is cut off anywhere can be told from a whole one: its last chunk is missing.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain, islice
from typing import Any, NamedTuple

from flask import Response, current_app, stream_with_context
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy.exc import DBAPIError

from api_service.web.door import kept_share, watched
from api_service.web.parts import asked
from api_service.web.problems import Invalid, TooManyExports, Unavailable
from api_service.web.refusal import Refusal
from api_service.web.schema import enumerated
from shared import logs
from shared.database.engine import first_line
from shared.database.lines import Style

AT_A_TIME = 2
"""Exports in a process: each has a thread for as long as it goes on, and whoever takes it may be slow."""
ROWS = 10_000
"""Of a page."""

BROKEN_OFF = "The database went away before the file was whole."

_RETRY_AFTER = 30  # seconds


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"


class _Form(NamedTuple):
    content_type: str
    begin: str
    between: str
    end: str


_FORMS = {
    Format.CSV: _Form("text/csv; charset=utf-8", "\ufeff", "\r\n", "\r\n"),  # the mark tells spreadsheets the encoding
    Format.NDJSON: _Form("application/x-ndjson", "", "\n", "\n"),
    Format.JSON: _Form("application/json", "[", ",\n", "]\n"),
}
_ACCEPTED = {"application/json": None, "text/csv": Format.CSV, "application/x-ndjson": Format.NDJSON}
_OF_PAGES = ("page", "page_size", "after_id")

Pages = Iterator[str]
"""The lines of each page, with what separates them."""


class ExportSchema(Schema):
    """Of the query of a list that can be had as a file."""

    format = fields.Enum(
        Format,
        by_value=fields.String,
        metadata=enumerated(
            "ExportFormat",
            "All of the list as a file, in place of a page of it: `csv`, `ndjson` or `json`. The header `Accept` asks"
            " for the first two as well, by `text/csv` and `application/x-ndjson`.",
        ),
    )

    @validates_schema
    def _without_pages(self, data: dict[str, Any], **_: Any) -> None:
        if "format" in data and (given := [name for name in _OF_PAGES if name in asked().args]):
            raise ValidationError("A file has no pages.", given[0])


class Exports:
    """Those of this process."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(AT_A_TIME)

    def enter(self) -> Callable[[], None]:
        """Takes a place; what gives it back, once however often it is called. Raises TooManyExports."""
        if not self._free.acquire(blocking=False):
            raise TooManyExports(Refusal.EXPORTS, f"{AT_A_TIME} exports are running here already.", _RETRY_AFTER)
        return _once(self._free.release)


def _once(do: Callable[[], object]) -> Callable[[], None]:
    """An answer may be closed more than once."""
    done = threading.Lock()

    def once() -> None:
        if done.acquire(blocking=False):
            do()

    return once


def wanted(query: Mapping[str, Any]) -> Format | None:
    """None: a page, as always. Raises Invalid."""
    if "format" in query:
        chosen: Format = query["format"]
        return chosen
    request = asked()
    found = _ACCEPTED.get(request.accept_mimetypes.best_match(_ACCEPTED) or "")
    if found is not None and (given := [name for name in _OF_PAGES if name in request.args]):
        raise Invalid({given[0]: [f"A file has no pages, and `Accept` asks for one: {found}."]}, place="query")
    return found


def style(form: Format) -> Style:
    return Style(form, _FORMS[form].between)


def as_file(form: Format, name: str, columns: Sequence[str], pages: Pages) -> Response:
    """name: of the file, without what its end says. columns: of CSV. The first page is read before the answer begins,
    so that what cannot be read is an error. Raises TooManyExports."""
    exports: Exports = current_app.extensions["exports"]
    leave = exports.enter()
    try:
        items = chain([",".join(columns)] if form is Format.CSV else [], islice(pages, 1))
        begun = chain(list(items), pages)
    except BaseException:
        leave()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Vary": "Accept"}
    content = stream_with_context(_written(_FORMS[form], begun))
    response = Response(content, content_type=_FORMS[form].content_type, headers=headers)
    response.call_on_close(leave)
    response.call_on_close(_once(kept_share()))
    return response


def _written(form: _Form, items: Iterable[str]) -> Iterator[bytes]:
    lead = form.begin
    try:
        with watched() as watch:
            for item in watch.pieces(items) if watch else items:
                yield f"{lead}{item}".encode()
                lead = form.between
    except DBAPIError as error:
        logs.logger().warning("export_broken_off", error=first_line(error))
        raise Unavailable(BROKEN_OFF) from error
    if lead is form.between:
        yield form.end.encode()
    elif lead:  # an array of nothing
        yield f"{lead}{form.end}".encode()
