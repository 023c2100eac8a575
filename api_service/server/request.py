"""A request on its way in: waitress's parser, and what it lets pass that we do not.

What two readers could take for different requests is refused, as are heads and bodies beyond our limits. So the
application, and whatever stands before it, always see the same.
"""

import re
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError

from api_service.server.limits import MAX_FIELD, MAX_FIELDS, MAX_FRAMING, MAX_HEAD, MAX_LINE
from api_service.server.refusal import Refusal
from api_service.web.body import MAX_BYTES
from api_service.web.problems import AddressTooLong, HeadTooLarge, TooLarge, UnknownCoding, Unreadable
from shared.domain.profile import receiving

_FILES = "/import/", "/console/imports/", "/console/suppressions/files/"
"""Ends of the paths that files are sent to, by programs and by the console."""
_CODING = re.compile(rb"\r\ntransfer-encoding:[ \t]*([^\r\n]*)", re.IGNORECASE)


class Request(HTTPRequestParser):  # type: ignore[misc]  # the library has no types
    """refusal: why it is not handed to the application. is_file: its body is to be read while it comes."""

    refusal: Refusal | None = None
    is_file = False

    def received(self, data: bytes) -> int:
        """How many of these bytes belong to it. Afterwards it may be `completed`, or refused."""
        taken: int = super().received(data)
        if self.error is not None:
            self.refusal = self.refusal or _REFUSALS.get(self.error.code, _UNREADABLE)
        elif self.headers_finished and self.body_rcv is not None:
            if self.command == "POST" and self.path.endswith(_FILES):
                self.is_file = self.completed = True
            elif self._is_too_large():
                self.refusal = _TOO_MUCH if self.is_of_receipts else _REFUSALS[413]
        self.completed = self.completed or self.refusal is not None
        return taken

    @property
    def is_of_receipts(self) -> bool:
        """Providers send many at once."""
        return bool(self.path.startswith("/receipts/"))

    def _is_too_large(self) -> bool:
        most, framed = _OF_RECEIPTS if self.is_of_receipts else (MAX_BYTES, MAX_FRAMING)
        return bool(max(self.content_length, len(self.body_rcv)) > most or self.body_bytes_received > framed)

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError."""
        first, *fields = header_plus.removesuffix(b"\r\n\r\n").split(b"\r\n")
        if len(first) > MAX_LINE:
            self._refuse(414)
        if len(fields) > MAX_FIELDS or any(len(field) > MAX_FIELD for field in fields):
            self._refuse(431)
        if any(field.startswith((b" ", b"\t")) for field in fields):
            self._refuse(400)  # a field over several lines
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an address that is none, or a length of thousands of digits
            raise ParsingError(str(error)) from error
        if self.version not in ("1.0", "1.1") or "," in self.headers.get("HOST", ""):
            self._refuse(400)
        if "TRANSFER_ENCODING" in self.headers:  # of HTTP/1.0, which knows none
            self._refuse(400)
        if self.chunked and ("CONTENT_LENGTH" in self.headers or not _is_chunked(header_plus)):
            self._refuse(400)

    def _refuse(self, status: int) -> None:
        self.refusal = _REFUSALS[status]
        raise ParsingError(self.refusal.message)


def _is_chunked(head: bytes) -> bool:
    return [coding.strip().lower() for coding in _CODING.findall(head)] == [b"chunked"]


_OF_RECEIPTS = receiving.MAX_BYTES, 2 * receiving.MAX_BYTES
_TOO_MUCH = Refusal(TooLarge, "body_too_large", f"The body has more than {receiving.MAX_BYTES // 2**20} MiB.")
_UNREADABLE = Refusal(Unreadable, "unreadable", "The server cannot read this request.")
_REFUSALS: dict[Any, Refusal] = {
    400: _UNREADABLE,
    413: Refusal(TooLarge, "body_too_large", f"The body has more than {MAX_BYTES // 1024} KiB."),
    414: Refusal(AddressTooLong, "line_too_long", f"The request line has more than {MAX_LINE} bytes."),
    431: Refusal(
        HeadTooLarge,
        "head_too_large",
        f"The head has more than {MAX_FIELDS} headers or {MAX_HEAD // 1024} KiB, or a header more than"
        f" {MAX_FIELD} bytes.",
    ),
    501: Refusal(UnknownCoding, "coding", "The only transfer coding is `chunked`."),
}
