"""From the first row of a table to what its columns are taken for, and what separates them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api_service.directory.files.column_names import ATTRIBUTES, PHONE, likely, member, tells_of_phones
from api_service.directory.files.encodings import UNDECODED
from api_service.directory.files.faults import NotTable
from api_service.directory.files.lines import ATTRIBUTE, TOLD, Column, plain
from api_service.directory.files.phone_spellings import is_phone
from api_service.directory.files.rows import TOO_LONG, Broken, Cells, record, unwrapped
from api_service.directory.files.text_lines import MAX_LINE, Lines
from shared.domain.attributes import name_fault
from shared.domain.text.shown import label

MAX = 1000
"""Columns of a table."""
SEPARATORS = ",;\t|"

_SEPARATOR_LINE = re.compile(r'\ufeff*"?sep= ?(\\t|[^\w\s"\\]|\t)"?[\s,;]*', re.IGNORECASE)
_BLANK_LINE = re.compile(r'[\s,;|"\ufeff\u200b\x1a]*')
_OTHER_END = re.compile("[\x1e\x85\u2028\u2029]")
"""What ends a line to other programs than those that write tables."""
_HEADER_LINES = 20
_MAX_SHOWN = 64  # characters of a name in an answer
_NO_MORE = "Rename one of them, or leave it out."
_UNREADABLE = (
    "Cannot be read: it is in another encoding, or holds NUL characters. Save the table as UTF-8, or declare its"
    " encoding with charset=."
)


@dataclass(frozen=True, slots=True)
class Table:
    """What its first row says. columns: as an answer has them. places: of members and attributes, from 0."""

    separator: str
    columns: tuple[Column, ...]
    phone: int
    members: Mapping[str, int]
    attributes: Mapping[str, int]
    bundle: int | None
    """The column that has all attributes."""
    nameless: tuple[int, ...]
    """Those in which nothing may stand. The very first one may: it numbers the rows."""

    def is_row(self, line: str) -> bool:
        """Whether it looks like one: with as many cells, and a phone where that belongs."""
        cells = line.split(self.separator)
        return len(cells) == len(self.columns) and is_phone(cells[self.phone].strip().strip('"'))


def read(lines: Lines, *, strict: bool = False) -> Table:
    """Takes the lines up to the one that names the columns. strict: no attributes. Raises NotTable."""
    separators = SEPARATORS
    lines.skip_empty()
    while (line := lines.look()) is not None:
        if found := _SEPARATOR_LINE.fullmatch(line):
            separators = found[1].replace("\\t", "\t")
        elif len(line) > MAX_LINE or not _BLANK_LINE.fullmatch(line):
            cells, separator = _header(lines, line, separators)
            return _table(cells, separator, strict, lines)
        lines.skip()
        lines.skip_empty()
    raise NotTable({"file": ["Is empty."]})


def _header(lines: Lines, line: str, separators: str) -> tuple[Cells, str]:
    """Split in the way that makes most sense: with a phone, else in as many cells as can be. Raises NotTable."""
    whole = _whole(lines, line)
    separator = max(separators, key=lambda one: _sense(whole, one))
    row = record(lines, separator, lambda _: False)
    if row is None or isinstance(row, Broken):
        reason = row.reason if row else TOO_LONG
        raise NotTable({"header": [f"The first line has to name the columns. {reason}"]})
    if len(row.cells) == 1 and member(row.cells[0]) is None:
        return unwrapped(row.cells[0], separator) or row.cells, separator
    return row.cells, separator


def _whole(lines: Lines, line: str) -> str:
    """With the lines on which a name goes on that stands in quotes, as far as there are any."""
    text = line
    for place in range(1, _HEADER_LINES):
        if len(text) > MAX_LINE or text.count('"') % 2 == 0 or (more := lines.look(place)) is None:
            break
        text += more
    return text


def _sense(line: str, separator: str) -> tuple[bool, int]:
    cells = line[:MAX_LINE].split(separator)
    return any(_is_of_phones(cell.strip().strip('"')) for cell in cells[:MAX]), len(cells)


def _is_of_phones(header: str) -> bool:
    return PHONE in (member(header), likely(header))


def _table(cells: Cells, separator: str, strict: bool, below: Lines) -> Table:
    """Raises NotTable."""
    while len(cells) > MAX and not label(cells[-1]):
        cells.pop()
    if len(cells) > MAX:
        raise NotTable({"header": [f"Has {len(cells)} columns, and at most {MAX} are read."]})
    names = [label(cell) for cell in cells]
    told = len(TOLD) if tuple(names[: len(TOLD)]) == TOLD else 0
    taken = [None] * told + [member(name) or (name and ATTRIBUTE + name) or None for name in names[told:]]
    _complete(taken, names, below)
    if faults := _faults(names, taken, strict, below):
        raise NotTable(faults)
    places = {one: place for place, one in enumerate(taken) if one}
    phone, bundle = places.pop(PHONE), places.pop(ATTRIBUTES, None)
    return Table(
        separator,
        tuple(Column(_shown(cell), one) for cell, one in zip(cells, taken, strict=True)),
        phone,
        {one: place for one, place in places.items() if not one.startswith(ATTRIBUTE)},
        {one.removeprefix(ATTRIBUTE): place for one, place in places.items() if one.startswith(ATTRIBUTE)},
        bundle,
        tuple(place for place, one in enumerate(taken) if one is None and place >= max(1, told)),
    )


def _complete(taken: list[str | None], names: Sequence[str], below: Lines) -> None:
    """Members that no column is called by, where there is one that can be nothing else."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if (taken[place] or "").startswith(ATTRIBUTE) and (one := likely(name)) and one not in taken:
            found.setdefault(one, []).append(place)
    if PHONE in found:
        if telling := [place for place, name in enumerate(names) if tells_of_phones(name)]:
            found[PHONE] = telling if telling[0] in found[PHONE] else []
        if len(telling) > 1 or _named_below(below):
            return  # a message to somebody else is worse than none
    for one, places in found.items():
        if len(places) == 1:
            taken[places[0]] = one


def _faults(names: Sequence[str], taken: Sequence[str | None], strict: bool, below: Lines) -> dict[str, list[str]]:
    """What is wrong with the names of the columns, by column."""
    faults: dict[str, list[str]] = {}
    times = Counter(one for one in taken if one)
    for name, one in zip(names, taken, strict=True):
        if one is None:
            continue
        if UNDECODED.search(name) or "\0" in name:
            faults[_shown(name)] = [_UNREADABLE]
        elif found := _OTHER_END.search(name):
            faults[_shown(name)] = [f"Holds U+{ord(found[0]):04X}, which ends no line of a table; CR and LF do."]
        elif times[one] > 1:
            others = dict.fromkeys(other for other, same in zip(names, taken, strict=True) if same == one)
            faults[_shown(name)] = [_twice(one, list(others))]
        elif one.startswith(ATTRIBUTE):
            if strict:
                faults[_shown(name)] = ["Unknown column."]
            elif fault := name_fault(name):
                faults[_shown(name)] = [fault]
    if PHONE not in times:
        faults[PHONE] = [_missing(names, below)]
    return faults


def _twice(one: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"Is given twice. {_NO_MORE}"
    return f"{' and '.join(map(_shown, names))} are both taken for {one.removeprefix(ATTRIBUTE)}. {_NO_MORE}"


def _missing(names: Sequence[str], below: Lines) -> str:
    if any(map(is_phone, names)):
        return "Missing column. The first line has to name the columns, and there is a phone in it."
    if number := _named_below(below):
        return f"Missing column. The columns seem to be named on line {number}: remove what stands above it."
    if some := [_shown(name) for name in names if likely(name) == PHONE]:
        return f"Missing column. Call that of {' and '.join(some)} phone, or телефон, whose phones are meant."
    return "Missing column. One column has to be called phone, or телефон."


def _named_below(below: Lines) -> int | None:
    """The line that seems to name the columns."""
    for number, line in enumerate(below.at_hand(_HEADER_LINES), below.number):
        cells = {cell.strip().strip('"') for separator in SEPARATORS for cell in line[:MAX_LINE].split(separator)[:MAX]}
        if any(member(cell) == PHONE for cell in cells):
            return number
    return None


def _shown(name: str) -> str:
    return plain(name, _MAX_SHOWN)
