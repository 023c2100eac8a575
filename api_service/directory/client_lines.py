"""Files of clients, held against the rules of `POST /clients/`: as tables, in the many forms that people have, or as
NDJSON, of which each line is an object as strict as a request.

Memory does not depend on the length of a file, nor on that of a line.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from marshmallow import ValidationError
from marshmallow.fields import Field

from api_service.directory.files import columns, rows, zone_spellings
from api_service.directory.files.encodings import UNDECODED, Text
from api_service.directory.files.faults import NotTable, NotText
from api_service.directory.files.lines import ClientFile, Line, Refused, Row, plain
from api_service.directory.files.rows import TOO_LONG
from api_service.directory.files.table import MEMBERS, Check, Clients, Wrong
from api_service.directory.files.text_lines import MAX_LINE, Lines
from api_service.directory.schema import ClientSchema
from api_service.web import body
from api_service.web.problems import Invalid, WrongType
from shared.domain.attributes import Value

CSV = "text/csv"
NDJSON = "application/x-ndjson"

_FIELDS = 10  # of a line that are reported
_MAX_NAME = 64  # characters of the name of one
_CACHED = 10_000  # values of a field; beyond, each is looked at anew
_BLANK = "\ufeff \t\r\n"
_END = "\x1a"
"""The sign that old programs end a file with."""
_SHORT = 64  # characters; what is longer hardly comes again


class Rules(Protocol):
    """What is taken of a line. checks: of the cells of a table, but the phone."""

    @property
    def checks(self) -> Mapping[str, Check]: ...

    def row(self, number: int, values: Mapping[str, Any]) -> Row | Mapping[str, Any]:
        """Of an object of NDJSON; or what is wrong with it, by member."""


def read(
    content_type: str | None,
    pieces: Iterable[bytes],
    charset: str | None = None,
    *,
    strict: bool = False,
    rules: Callable[[], Rules] | None = None,
) -> ClientFile:
    """Reads as far as the first line.

    Args:
        content_type: CSV or NDJSON; None: whichever it is by its first character.
        pieces: of the file.
        charset: as declared.
        strict: a column that is no member of a client is a fault, in place of an attribute.
        rules: other ones than those of clients.

    Raises WrongType and Invalid where the file as a whole makes no sense.
    """
    wanted = (rules or _Rules)()
    try:
        text = Text(pieces, charset)
        lines = Lines(text)
        if content_type == NDJSON or (content_type is None and _begins_object(lines)):
            if lines.look() is None:
                raise NotTable({"file": ["Is empty."]})
            return ClientFile(_ndjson(wanted, lines, lambda: text.encoding), encoding=lambda: text.encoding)
        table = columns.read(lines, strict=strict)
    except NotText as error:
        raise WrongType(str(error)) from error
    except NotTable as error:
        raise Invalid(error.errors, place="body" if "file" in error.errors else "header") from error
    said = Clients(table, wanted.checks, _unpacked, lambda: text.encoding).lines(
        rows.read(lines, table.separator, table.is_row)
    )
    return ClientFile(said, table.columns, lambda: text.encoding, table.separator)


def _begins_object(lines: Lines) -> bool:
    """By what comes behind blank lines, which are taken."""
    lines.skip_empty()
    while (line := lines.look()) is not None and not line.strip(_BLANK):
        lines.skip()
        lines.skip_empty()
    return (line or "").lstrip(_BLANK).startswith("{")


def _check(field: Field[Any], plainly: Callable[[str], str] = str) -> Check:
    """plainly: of a cell, what people mean by it."""

    def check(cell: str) -> str:
        try:
            return str(field.deserialize(plainly(cell)))
        except ValidationError as error:
            raise Wrong(" ".join(map(str, error.messages))) from error

    return check


_CODE = re.compile(r"'?([0-9]{3})(?:[.,]0+)?")
"""As spreadsheets write a number, or are told that it is a text."""


def _code(cell: str) -> str:
    found = _CODE.fullmatch(cell)
    return found[1] if found else cell


_SPELLED: Mapping[str, Callable[[str], str]] = {"operator_code": _code, "timezone": zone_spellings.normalised}

_attributes = ClientSchema().fields["attributes"]


def _unpacked(cell: str) -> dict[str, Value]:
    """Attributes, of a cell that has all of them as JSON."""
    try:
        found: dict[str, Value] = _attributes.deserialize(body.strict_json(cell))
    except ValidationError as error:
        raise Wrong(_sentences(error.messages)) from error
    except (ValueError, RecursionError) as error:
        raise Wrong("Must be a JSON object.") from error
    return found


def _sentences(messages: Any) -> str:
    if isinstance(messages, Mapping):
        return " ".join(
            f"{plain(name, _MAX_NAME)}: {' '.join(some)}" for name, some in islice(messages.items(), _FIELDS)
        )
    return " ".join(map(str, messages))


# ---------------------------------------------------------------- NDJSON


class _Checked(dict[Any, str]):
    """A value as the schema takes it, made when it is first asked for. Raises ValidationError."""

    def __init__(self, field: Field[Any]) -> None:
        super().__init__()
        self._field = field

    def __missing__(self, value: Any) -> str:
        taken: str = self._field.deserialize(value)
        if len(self) < _CACHED and len(value) <= _SHORT:
            self[value] = taken
        return taken


class _Rules:
    """Those of the schema. The schema itself takes long, so it is asked only why a line is wrong."""

    def __init__(self) -> None:
        self._schema = ClientSchema(exclude=["reference"])
        self._phone = self._schema.fields["phone"].deserialize
        self._checked = {name: _Checked(self._schema.fields[name]) for name in MEMBERS}
        self._attributes = self._schema.fields["attributes"].deserialize
        self._names = self._schema.load_fields.keys()

    @property
    def checks(self) -> Mapping[str, Check]:
        return {name: _check(self._schema.fields[name], _SPELLED.get(name, str)) for name in MEMBERS}

    def row(self, number: int, values: Mapping[str, Any]) -> Row | Mapping[str, Any]:
        """Or what is wrong with them, by member."""
        try:
            phone = self._phone(values["phone"])
            code, tag, zone = (
                checked[values[name]] if name in values else None for name, checked in self._checked.items()
            )
            attributes = self._attributes(values["attributes"]) if "attributes" in values else None
            if values.keys() <= self._names:
                is_changed = (tag is not None and tag != values["tag"]) or (
                    attributes is not None and attributes != values["attributes"]
                )
                emptied = ("tag",) if is_changed and tag == "" else ()
                return Row(number, str(phone), code, tag, zone, attributes, is_changed, emptied)
        except (KeyError, TypeError, ValidationError):
            pass  # TypeError: a value that is no key of a dictionary is none of ours either
        return self._schema.validate(values)


def _ndjson(rules: Rules, lines: Lines, encoding: Callable[[], str]) -> Iterator[Line]:
    for number, line in lines.rest():
        if line and not line.isspace() and line != _END:
            found = _said(rules, number, line, encoding)
            yield found if isinstance(found, Row) else _refused(number, line, found)


def _said(rules: Rules, number: int, line: str, encoding: Callable[[], str]) -> Row | Mapping[str, Any]:
    """Or what is wrong."""
    if len(line) > MAX_LINE:
        return {"_schema": [TOO_LONG]}
    if not line.isascii() and UNDECODED.search(line):
        return {"_schema": [f"Is not {encoding().upper()}."]}
    try:
        return rules.row(number, body.strict_json(line))
    except ValidationError as error:
        return error.messages_dict
    except (ValueError, RecursionError):
        return {"_schema": ["Is not JSON."]}


def _refused(number: int, line: str, errors: Mapping[str, Any]) -> Refused:
    """With no more than a few of the fields, whose names are anybody's: as text that the database can hold."""
    told = {plain(name, _MAX_NAME): sentences for name, sentences in islice(errors.items(), _FIELDS)}
    return Refused(number, told, plain(line, MAX_LINE))
