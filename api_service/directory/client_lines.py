"""Clients in files, a line each: read, held against the rules of `POST /clients/`, and made ready for COPY.

Memory does not depend on the length of a file, nor on that of a line.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Protocol

from marshmallow import ValidationError
from marshmallow.fields import Field

from api_service.directory.files.lines import ClientFile, Line, Refused, Row
from api_service.directory.schema import ClientSchema
from api_service.web import body
from api_service.web.problems import Invalid

MAX_LINE = 8 * 1024
"""Bytes of a line, and characters of a quoted cell."""

CSV = "text/csv"
NDJSON = "application/x-ndjson"

_BOM = b"\xef\xbb\xbf"
_FIELDS = 10  # of a line that are reported
_CACHED = 10_000  # values of a field; beyond, each is looked at anew
_MAY_BE_EMPTY = frozenset({"phone", "tag"})

csv.field_size_limit(MAX_LINE)  # else a quote that is never closed takes a hundred thousand characters with it


class _Checked(dict[Any, str]):
    """A value as the schema takes it, made when it is first asked for. Raises ValidationError."""

    def __init__(self, field: Field[Any]) -> None:
        super().__init__()
        self._field = field

    def __missing__(self, value: Any) -> str:
        taken: str = self._field.deserialize(value)
        if len(self) < _CACHED:
            self[value] = taken
        return taken


class _Rules:
    """Those of the schema. The schema itself takes long, so it is asked only why a line is wrong."""

    def __init__(self) -> None:
        self._schema = ClientSchema(exclude=["reference"])
        self._phone = self._schema.fields["phone"].deserialize
        self._checked = {name: _Checked(self._schema.fields[name]) for name in ("operator_code", "tag", "timezone")}
        self._attributes = self._schema.fields["attributes"].deserialize
        self.names = self._schema.load_fields.keys()

    def row(self, number: int, values: Mapping[str, Any]) -> Line:
        try:
            phone = self._phone(values["phone"])
            code, tag, zone = (
                checked[values[name]] if name in values else None for name, checked in self._checked.items()
            )
            attributes = self._attributes(values["attributes"]) if "attributes" in values else None
            if values.keys() <= self.names:
                return Row(number, str(phone), code, tag, zone, attributes)
        except (KeyError, TypeError, ValidationError):
            pass  # TypeError: a value that is no key of a dictionary is none of ours either
        return _faulty(number, self._schema.validate(values))


def read(content_type: str, pieces: Iterable[bytes]) -> ClientFile:
    """content_type: CSV or NDJSON. Raises Invalid, before the first row, where the file as a whole makes no sense."""
    lines = _physical(pieces)
    first = next(lines, b"").removeprefix(_BOM)
    if not first:
        raise Invalid({"file": ["Is empty."]}, place="body")
    return ClientFile(_FORMATS[content_type](chain([first], lines)))


def _physical(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their ends, split at line feeds; of one that is longer than MAX_LINE no more than shows that it is."""
    rest = b""
    for piece in pieces:
        lines = io.BytesIO(rest + piece).readlines()
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()[: MAX_LINE + 1]
        yield from lines
    if rest:
        yield rest


def _ndjson(lines: Iterable[bytes]) -> Iterator[Line]:
    rules = _Rules()
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            yield _wrong(number, _TOO_LONG)
        elif not line.isspace():
            try:
                values = body.strict_json(line.decode())
            except UnicodeDecodeError:
                yield _wrong(number, _NOT_UTF8)
            except ValidationError as error:
                yield _faulty(number, error.messages_dict)
            except (ValueError, RecursionError):
                yield _wrong(number, "Is not JSON.")
            else:
                yield rules.row(number, values)


def _csv(lines: Iterable[bytes]) -> Iterator[Line]:
    """The first line names the columns."""
    reader = csv.reader(map(_text, lines), strict=True)
    try:
        names = next(reader)
    except csv.Error as error:
        raise Invalid({"header": [f"Is not CSV: {error}."]}, place="body") from error
    rules = _Rules()
    if faults := _faults(names, rules.names):
        raise Invalid(faults, place="header")
    return _records(reader, names, rules)


def _faults(names: Sequence[str], known: Container[str]) -> dict[str, list[str]]:
    """What is wrong with the names of the columns, by column."""
    faults = {name: ["Unknown column; they are separated by commas."] for name in names if name not in known}
    faults |= {name: ["Is given twice."] for name, times in Counter(names).items() if times > 1}
    return faults if "phone" in names else faults | {"phone": ["Missing column."]}


def _records(reader: "_Reader", names: Sequence[str], rules: _Rules) -> Iterator[Line]:
    while True:
        number = reader.line_num + 1  # a quoted cell may go over several lines
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _wrong(number, f"Is not CSV: {error}.")
            continue
        if len(cells) == len(names):
            # Nothing but an empty cell can say that there is no value.
            values = {name: cell for name, cell in zip(names, cells, strict=True) if cell or name in _MAY_BE_EMPTY}
            found = rules.row(number, values)
            yield _wrong(number, _NOT_UTF8) if isinstance(found, Refused) and _is_not_utf8(cells) else found
        elif cells == [_TOO_LONG]:
            yield _wrong(number, _TOO_LONG)
        elif cells:
            yield _wrong(number, f"Has {len(cells)} cells, and there are {len(names)} columns.")


class _Reader(Protocol):
    line_num: int

    def __next__(self) -> list[str]: ...


def _text(line: bytes) -> str:
    return line.decode(errors="surrogateescape") if len(line) <= MAX_LINE else _TOO_LONG


def _is_not_utf8(cells: Iterable[str]) -> bool:
    """As `_text` marks it."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return True
    return False


def _wrong(number: int, reason: str) -> Refused:
    return Refused(number, {"_schema": [reason]})


def _faulty(number: int, errors: Mapping[str, Any]) -> Refused:
    """With no more than a few of the fields, whose names are anybody's: as text that the database can hold."""
    return Refused(number, {_plain(name): sentences for name, sentences in islice(errors.items(), _FIELDS)})


def _plain(name: str) -> str:
    return name[:64].encode(errors="replace").decode().replace("\0", "?")


_TOO_LONG = f"Has more than {MAX_LINE // 1024} KiB."
_NOT_UTF8 = "Is not UTF-8."
_FORMATS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Line]]] = {CSV: _csv, NDJSON: _ndjson}
