"""From rows of cells to what they say of clients: cells are trimmed and phones normalised.

A value that comes again and again, a tag, a zone, a town, is looked at once. What a line says wrong is found out only
where something is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from api_service.directory.files.columns import Table
from api_service.directory.files.encodings import UNDECODED
from api_service.directory.files.lines import ATTRIBUTE, IS_DEFUSED, Line, Refused, Row, plain
from api_service.directory.files.phone_spellings import EXACT, NotAPhone, is_phone, normalised
from api_service.directory.files.rows import Broken, Cells, unwrapped
from api_service.directory.files.rows import Row as CellRow
from api_service.directory.files.text_lines import MAX_LINE
from shared.domain.attributes import MAX, TOO_MANY, value_fault
from shared.domain.attributes import Value as Attribute
from shared.domain.text.shown import label

Check = Callable[[str], str]
"""A trimmed cell as it is kept. Raises Wrong."""

Unpack = Callable[[str], Mapping[str, Attribute]]
"""All attributes, of a cell that has them. Raises Wrong."""

MEMBERS = ("operator_code", "tag", "timezone")
"""Of a client, but the phone, as `Row` has them."""

_LINE = "_schema"
_FAULTS = 10  # of a line that are reported
_CACHED = 10_000  # values of all columns, each of which has its part; beyond, each is looked at anew
_CONSTANT = re.compile('="((?:[^"]|"")*)"')
"""How a spreadsheet is told that what looks like a number is a text."""
_SHORT = 64  # characters; what is longer hardly comes again


class Wrong(ValueError):
    """A value that cannot be taken. Says why."""


class Value(NamedTuple):
    """None: the cell says nothing."""

    value: str | None
    is_changed: bool


class _Values(dict[str, Value]):
    """What the cells of a column say, by what stands in them. Raises Wrong."""

    def __init__(self, check: Check, most: int) -> None:
        """most: that are kept."""
        super().__init__()
        self._check, self._most = check, most

    def __missing__(self, cell: str) -> Value:
        text = label(cell)
        if text.startswith("'") and IS_DEFUSED.match(text):
            text = label(text[1:])
        elif constant := _CONSTANT.fullmatch(text):
            text = label(constant[1].replace('""', '"'))
        taken = self._check(text) if text else None
        found = Value(taken, (taken or "") != cell)
        if len(self) < self._most and len(cell) <= _SHORT:
            self[cell] = found
        return found


class Clients:
    """What the rows of a table say."""

    def __init__(self, table: Table, checks: Mapping[str, Check], unpack: Unpack, encoding: Callable[[], str]) -> None:
        """checks: of the members but the phone. encoding: of the file, for what cannot be decoded."""
        self._table, self._encoding = table, encoding
        most = _CACHED // len(table.columns)
        self._members = [
            (MEMBERS.index(name), place, _Values(checks[name], most)) for name, place in table.members.items()
        ]
        self._attributes = [(name, place, _Values(_attribute, most)) for name, place in table.attributes.items()]
        self._unpack = unpack
        self._headers = [label(column.header) for column in table.columns]

    def lines(self, rows: Iterable[CellRow | Broken]) -> Iterator[Line]:
        """Blank rows are nothing."""
        width, phone_place, nameless = len(self._table.columns), self._table.phone, self._table.nameless
        for row in rows:
            if isinstance(row, Broken):
                yield self._refused(row.number, (), {_LINE: row.reason}, row.text)
                continue
            number, cells = row
            if len(cells) == width and EXACT.fullmatch(cells[phone_place]) and not any(cells[one] for one in nameless):
                yield self._said(number, cells, cells[phone_place], False)
            elif found := self._unusual(number, cells):
                yield found

    def _said(self, number: int, cells: Cells, phone: str, is_changed: bool) -> Line:
        """By a row with a phone, and nothing beside its columns."""
        members: list[str | None] = [None, None, None]
        attributes: dict[str, Attribute] = {}
        emptied: list[int] = []
        try:
            if self._table.bundle is not None and (bundle := label(cells[self._table.bundle])):
                attributes.update(self._unpack(bundle))
            for member, place, values in self._members:
                members[member], is_other = values[cells[place]]
                if is_other:
                    is_changed = True
                    if members[member] is None:
                        emptied.append(place)
            for name, place, values in self._attributes:
                value, is_other = values[cells[place]]
                if value is not None:
                    attributes[name] = value
                if is_other:
                    is_changed = True
                    if value is None:
                        emptied.append(place)
        except Wrong:
            return self._faulty(number, cells)
        if len(attributes) > MAX:
            return self._refused(number, cells, {"attributes": TOO_MANY})
        headers = tuple([self._headers[place] for place in emptied]) if emptied else ()
        code, tag, zone = members
        return Row(number, phone, code, tag, zone, attributes or None, is_changed, headers)

    def _unusual(self, number: int, cells: Cells) -> Line | None:
        """A row of another width, with a phone that is spelled otherwise, with something wrong, or blank."""
        width = len(self._table.columns)
        if not any(map(label, cells)):
            return None
        if len(cells) > width and any(map(label, cells[width:])):
            return self._refused(number, cells, {_LINE: f"Has {len(cells)} cells, and there are {width} columns."})
        if len(cells) == 1 and (found := self._unwrapped(cells[0])):
            cells = found
        given = len(cells)
        cells = cells[:width] + [""] * (width - given)  # spreadsheets leave out empty cells at the end
        for place in self._table.nameless:
            if label(cells[place]):
                words = f"Has something in column {place + 1}, which has no name."
                return self._refused(number, cells, {_LINE: words}, cells[place])
        if given <= self._table.phone:
            return self._refused(number, cells[:given], {_LINE: f"Has {given} cells, and there are {width} columns."})
        try:
            phone = normalised(cells[self._table.phone])
        except NotAPhone:
            return self._faulty(number, cells)
        return self._said(number, cells, phone, phone != cells[self._table.phone])

    def _unwrapped(self, cell: str) -> Cells | None:
        """Not where it may be a list, such as two phones, or a phone and what belongs to it."""
        found = unwrapped(cell, self._table.separator)
        if found is None or len(found) != len(self._table.columns) or any(one.startswith(" ") for one in found):
            return None
        is_row = is_phone(found[self._table.phone]) and sum(map(is_phone, found)) == 1
        return found if is_row else None

    def _faulty(self, number: int, cells: Cells) -> Refused:
        """With what is wrong with each of its cells."""
        if any(map(UNDECODED.search, cells)):
            words = f"Is not {self._encoding().upper()}."
            return self._refused(number, cells, {_LINE: words}, next(filter(UNDECODED.search, cells)))
        faults: dict[int, str] = {}
        try:
            normalised(cells[self._table.phone])
        except NotAPhone as error:
            faults[self._table.phone] = str(error)
        for _, place, values in [*self._members, *self._attributes]:
            try:
                values[cells[place]]
            except Wrong as error:
                faults[place] = str(error)
        if (place_of_all := self._table.bundle) is not None and (bundle := label(cells[place_of_all])):
            try:
                self._unpack(bundle)
            except Wrong as error:
                faults[place_of_all] = str(error)
        names = {place: (self._table.columns[place].taken_as or "").removeprefix(ATTRIBUTE) for place in faults}
        first = min(faults)
        errors = {names[place]: faults[place] for place in sorted(faults)[:_FAULTS]}
        return self._refused(number, cells, errors, cells[first])

    def _refused(self, number: int, cells: Iterable[str], errors: Mapping[str, str], value: str = "") -> Refused:
        return Refused(
            number,
            {name: [words] for name, words in errors.items()},
            plain(value, MAX_LINE),
            tuple([plain(cell, MAX_LINE) for cell in cells]),
        )


def _attribute(text: str) -> str:
    if fault := value_fault(text):
        raise Wrong(fault)
    return text
