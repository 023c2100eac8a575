"""From the first row of a table to what its columns are taken for, and what separates them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api_service.directory.files.encodings import UNDECODED
from api_service.directory.files.faults import NotTable
from api_service.directory.files.lines import ATTRIBUTE, TOLD, Column, plain
from api_service.directory.files.phone_spellings import is_phone
from api_service.directory.files.rows import TOO_LONG, Broken, Cells, record
from api_service.directory.files.text_lines import MAX_LINE, Lines
from shared.domain.attributes import name_fault
from shared.domain.text.shown import label

MAX = 1000
"""Columns of a table."""
PHONE = "phone"
ATTRIBUTES = "attributes"
"""A column of that name has all of them, as an object in JSON."""
SEPARATORS = ",;\t|"

_NAMES: Mapping[str, Sequence[str]] = {
    PHONE: (
        *("phone", "phone number", "phone no", "tel", "telephone", "telephone number", "mobile", "mobile phone"),
        *("mobile number", "cell", "cell phone", "cellphone", "msisdn", "phonenumber", "mobilephone"),
        *("mobile no", "phone mobile", "cell number", "cell phone number", "mobile phone number", "contact phone"),
        *("contact number", "primary phone", "phone 1", "phone1", "phone 1 value", "whatsapp"),
        *("телефон", "номер телефона", "тел", "номер", "моб", "моб телефон", "мобильный", "мобильный телефон"),
        *("мобильный номер", "номер мобильного", "номер мобильного телефона", "сотовый", "сотовый телефон"),
        *("контактный телефон", "телефон клиента", "телефонный номер", "номер тел", "моб тел", "сот тел"),
        *("телефоны", "телефона", "телефон мобильный", "телефон моб", "тел моб", "мобильный тел", "номер телефона моб"),
        *("номер телефона клиента", "телефон 1", "телефон1", "основной телефон", "номер моб", "номер сотового"),
    ),
    "operator_code": ("operator code", "operatorcode", "код оператора", "def код"),
    "tag": ("tag", "label", "тег", "тэг", "метка", "ярлык"),
    ATTRIBUTES: (ATTRIBUTES,),
    "timezone": ("timezone", "time zone", "tz", "часовой пояс", "часовая зона", "временная зона", "таймзона"),
}
"""English and Russian, in small letters, with single blanks between words, ё as е."""
_MEMBERS = {name: member for member, names in _NAMES.items() for name in names}
_BETWEEN_WORDS = re.compile(r"[\s_.:*#№()/-]+")
_UNSEEN = dict.fromkeys((0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF))
"""Marks within a word that nobody sees: where it may be broken, or not."""
_SEPARATOR_LINE = re.compile(r'\ufeff*"?sep=([,;\t|])"?[\s,;]*', re.IGNORECASE)
_BLANK_LINE = re.compile(r'[\s,;|"\ufeff\u200b]*')
_HEADER_LINES = 20
_MAX_SHOWN = 64  # characters of a name in an answer
_NO_MORE = "Rename one of them, or leave it out."


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
            separators = found[1]
        elif len(line) > MAX_LINE or not _BLANK_LINE.fullmatch(line):
            cells, separator = _header(lines, line, separators)
            return _table(cells, separator, strict, lines)
        lines.skip()
        lines.skip_empty()
    raise NotTable({"file": ["Is empty."]})


def member(header: str) -> str | None:
    """What a column of that name is taken for; None: for an attribute, or for nothing."""
    return _MEMBERS.get(_BETWEEN_WORDS.sub(" ", label(header).translate(_UNSEEN).casefold().replace("ё", "е")).strip())


def _header(lines: Lines, line: str, separators: str) -> tuple[Cells, str]:
    """Split in the way that makes most sense: with a phone, else in as many cells as can be. Raises NotTable."""
    whole = _whole(lines, line)
    separator = max(separators, key=lambda one: _sense(whole, one))
    row = record(lines, separator, lambda _: False)
    if row is None or isinstance(row, Broken):
        reason = row.reason if row else TOO_LONG
        raise NotTable({"header": [f"The first line has to name the columns. {reason}"]})
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
    return any(member(cell.strip().strip('"')) == PHONE for cell in cells[:MAX]), len(cells)


def _table(cells: Cells, separator: str, strict: bool, below: Lines) -> Table:
    """Raises NotTable."""
    while len(cells) > MAX and not label(cells[-1]):
        cells.pop()
    if len(cells) > MAX:
        raise NotTable({"header": [f"Has {len(cells)} columns, and at most {MAX} are read."]})
    names = [label(cell) for cell in cells]
    told = len(TOLD) if tuple(names[: len(TOLD)]) == TOLD else 0
    taken = [None] * told + [member(name) or (name and ATTRIBUTE + name) or None for name in names[told:]]
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


def _faults(names: Sequence[str], taken: Sequence[str | None], strict: bool, below: Lines) -> dict[str, list[str]]:
    """What is wrong with the names of the columns, by column."""
    faults: dict[str, list[str]] = {}
    times = Counter(one for one in taken if one)
    for name, one in zip(names, taken, strict=True):
        if one is None:
            continue
        if UNDECODED.search(name) or "\0" in name:
            faults[_shown(name)] = ["Cannot be read: it is in another encoding, or holds NUL characters."]
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
    for number, line in enumerate(below.at_hand(_HEADER_LINES), below.number):
        if any(_sense(line, separator)[0] for separator in SEPARATORS):
            return f"Missing column. The columns seem to be named on line {number}: remove what stands above it."
    return "Missing column. One column has to be called phone, or телефон."


def _shown(name: str) -> str:
    return plain(name, _MAX_SHOWN)
