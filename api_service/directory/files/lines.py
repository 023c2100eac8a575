"""What a file of clients says, line by line: from whoever reads it to whoever stores it.

Plain values throughout: what COPY, JSON or an answer make of them is their own affair. Whatever is counted is said of a
single line, so that a batch of lines can be counted in the transaction that stores it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.domain.attributes import Value
from shared.domain.text.shown import BEGINS_FORMULA

EMPTIED = 100
"""Values shortened to nothing that an answer lists; all of them are counted."""


class Row(NamedTuple):
    """A line that is taken.

    None, or a name that is not among the attributes: the line does not say, so what is known already stays.
    """

    line: int  # where it begins, counted from 1
    phone: str  # 11 digits
    operator_code: str | None = None
    tag: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Value] | None = None  # a cell of a table is always a string
    is_normalised: bool = False  # a value was spelled otherwise than it is taken
    emptied: tuple[str, ...] = ()  # headers of cells that had something in them, and nothing that can be seen


class Refused(NamedTuple):
    """A line that is not taken."""

    line: int  # where it begins, counted from 1
    errors: Mapping[str, Sequence[str]]  # sentences by member or header, as in a 422; `_schema`: the line as a whole
    value: str = ""  # what is wrong, as it stands in the file: the first cell at fault, or the line
    cells: tuple[str, ...] = ()  # as they stand in the file, by column; none where the line has no cells of its own


Line = Row | Refused


def plain(words: str, longest: int | None = None) -> str:
    """Anybody's words, or their beginning, as text that answers and the database can hold."""
    words = words[:longest]
    if words.isascii() and "\0" not in words:
        return words
    return words.encode(errors="replace").decode().replace("\0", "?")


TOLD = ("line", "reason", "value")
"""Columns that a file of refused lines begins with. Whoever mends it and sends it again means nothing by them."""

IS_DEFUSED = re.compile(f"'+[{re.escape(''.join(BEGINS_FORMULA))}]")
"""The beginning of a cell that got an apostrophe, so that no spreadsheet takes it for a formula: by a file of refused
lines, by an export, by a person. It loses one when the file comes back."""


ATTRIBUTE = "attributes."
"""And the name of one: what a column is taken for that is no member."""


class Column(NamedTuple):
    """taken_as: `phone`, another member, `attributes.<name>`; None: nothing, it has no name."""

    header: str  # as it stands in the file
    taken_as: str | None


class ClientFile(NamedTuple):
    """A file whose beginning makes sense. The lines come while the file does, and can be gone through once."""

    lines: Iterator[Line]
    columns: tuple[Column, ...] = ()  # none of NDJSON
    encoding: Callable[[], str] = lambda: "utf-8"  # as far as it has been read: for certain once the lines are through
    separator: str | None = None  # None: NDJSON


def cells_of(row: Row, columns: Sequence[Column]) -> tuple[str, ...]:
    """What a line says, by column, as it was taken: for one that is refused when its cells are not at hand any more.
    Of NDJSON none."""
    said = row._asdict() | {f"{ATTRIBUTE}{name}": value for name, value in (row.attributes or {}).items()}
    values = [said.get(column.taken_as or "") or "" for column in columns]
    return tuple([value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values])
