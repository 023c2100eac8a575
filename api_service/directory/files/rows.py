"""From text to rows of cells, and to lines that cannot be read.

A cell may stand in quotes, and have line ends then. Where such a cell is never closed, or goes on behind its end, the
line that it begins on is refused, and the next one is read as if nothing had been: no line is ever swallowed.

Memory does not depend on the length of a file, of a line, or of a cell.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from api_service.directory.files.text_lines import MAX_AHEAD, MAX_LINE, Lines

MAX_LINES = 200
"""That a row may stand on."""
TOO_LONG = f"Has more than {MAX_LINE // 1024} KiB."
NEVER_CLOSED = "A quotation mark opens a cell and is never closed."
HOLDS_ROWS = "A quotation mark opens a cell, and rows follow before it is closed."
GOES_ON = "Something follows the quotation mark that closes a cell; one within a cell is doubled."

Cells = list[str]


class Row(NamedTuple):
    number: int  # of the line that it begins on, from 1
    cells: Cells


class Broken(NamedTuple):
    """A line that cannot be read. text: its beginning, without its end."""

    number: int
    text: str
    reason: str


IsRow = Callable[[str], bool]


def read(lines: Lines, separator: str, is_row: IsRow) -> Iterator[Row | Broken]:
    """What has not been taken of the lines yet.

    is_row: whether a line looks like a row of this file. Where one stands within a cell in quotes, the first of these
    quotation marks was not meant so.
    """
    while True:
        number = lines.number
        if (plain := lines.plain()) is not None:
            for line in plain:
                if len(line) > MAX_LINE:
                    yield Broken(number, line[:MAX_LINE], TOO_LONG)
                elif line:
                    yield Row(number, line.split(separator))
                number += 1
        elif (found := record(lines, separator, is_row)) is not None:
            yield found
        else:
            return


def record(lines: Lines, separator: str, is_row: IsRow) -> Row | Broken | None:
    """Takes what begins on the next line. None: the file is over."""
    if (line := lines.look()) is None:
        return None
    number, line = lines.number, line.rstrip("\r\n")
    lines.allow(4 * len(line))
    try:
        cells, count = _cells(lines, line, separator, is_row)
    except _Unreadable as error:
        cells, count = None, 1
        broken = Broken(number, line[:MAX_LINE], str(error))
    lines.skip(count)
    return broken if cells is None else Row(number, cells)


def unwrapped(cell: str, separator: str) -> Cells | None:
    """The cells of a row that stands in quotation marks as a whole, which some programs put around it when they save a
    table that they have not taken apart. None: it is no such row."""
    if separator not in cell:
        return None
    lines = Lines([cell])
    row = record(lines, separator, lambda _: False)
    return row.cells if isinstance(row, Row) and lines.look() is None else None


def _cells(lines: Lines, line: str, separator: str, is_row: IsRow) -> tuple[Cells, int]:
    """And the number of lines that they stand on. Raises _Unreadable."""
    if len(line) > MAX_LINE:
        raise _Unreadable(TOO_LONG)
    if '"' not in line:
        return line.split(separator), 1
    if line[0] == '"' == line[-1]:  # all of them in quotes, as many programs write it
        cells = line[1:-1].split(f'"{separator}"')
        if line.count('"') == 2 * len(cells):
            return cells, 1
    return _Record(lines, line, separator, is_row).cells()


class _Unreadable(Exception):
    """Says why."""


class _Record:
    """A row of which some cells stand in quotes."""

    def __init__(self, lines: Lines, line: str, separator: str, is_row: IsRow) -> None:
        self._lines, self._line, self._separator, self._is_row = lines, line, separator, is_row
        self._opening, self._closing = _marks(separator)
        self._at = 0
        self._count = 1
        self._ahead = 0
        """Characters of the lines behind the first."""

    def cells(self) -> tuple[Cells, int]:
        cells = []
        is_last = False
        while not is_last:
            opening = self._opening.match(self._line, self._at)
            cell, is_last = self._quoted(opening.end()) if opening else self._bare()
            cells.append(cell)
        return cells, self._count

    def _bare(self) -> tuple[str, bool]:
        end = self._line.find(self._separator, self._at)
        if end < 0:
            return self._line[self._at :], True
        cell, self._at = self._line[self._at : end], end + 1
        return cell, False

    def _quoted(self, start: int) -> tuple[str, bool]:
        parts = []
        while True:
            end = _INSIDE.match(self._line, start).end()  # type: ignore[union-attr]  # it matches nothing, too
            parts.append(self._line[start:end])
            if end < len(self._line):
                break
            parts.append(self._next_line())
            start = 0
        closing = self._closing.match(self._line, end)
        if closing is None:
            raise self._fault(GOES_ON)
        if any(map(self._is_row, parts[2::2])):
            raise self._fault(HOLDS_ROWS)
        self._at = closing.end()
        return "".join(parts).replace('""', '"'), closing[1] is None

    def _next_line(self) -> str:
        """Goes on there. The end of the line before."""
        before = self._lines.look(self._count - 1) or ""
        line = self._lines.look(self._count)
        too_far = self._ahead + len(line or "") > min(MAX_AHEAD, self._lines.allowance) or self._count >= MAX_LINES
        if line is None or too_far:
            raise self._fault(NEVER_CLOSED)
        self._ahead += len(line)
        self._count += 1
        self._line = line.rstrip("\r\n")
        return before[len(before.rstrip("\r\n")) :]

    def _fault(self, reason: str) -> _Unreadable:
        """What was looked at in vain is looked at again."""
        self._lines.allow(-self._ahead)
        return _Unreadable(reason)


_INSIDE = re.compile(r'(?:[^"]+|"")*+')


@lru_cache
def _marks(separator: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What opens a cell in quotes, and what closes it: with blanks around, which say nothing."""
    blank = "[" + "".join(sign for sign in " \t\xa0\ufeff\u200b" if sign != separator) + "]*+"
    sign = re.escape(separator)
    return re.compile(f'{blank}"'), re.compile(f'"{blank}(?:({sign})|\\Z)')
