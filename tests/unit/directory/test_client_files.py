"""Files of clients as people have them: whole ones, from bytes to what each line says."""

import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.directory.client_lines import CSV, NDJSON, read
from api_service.directory.files.lines import ClientFile, Line, Refused, Row
from api_service.directory.files.phone_spellings import (
    BESIDE,
    DATE,
    EXTENSION,
    FORMULA,
    LOST_DIGITS,
    SEVERAL,
    SHAPE,
)
from api_service.directory.files.rows import HOLDS_ROWS, TOO_LONG
from api_service.directory.files.text_lines import MAX_LINE
from api_service.web.problems import BrokenOff, Problem
from tests.support.client_files import ENDLESS, FILES, WHAT_IS_RIGHT, normal, tagged
from tests.support.files import in_pieces


def file(data: bytes, charset: str | None = None, content_type: str | None = CSV) -> ClientFile:
    return read(content_type, [data] if data else [], charset)


def lines(data: bytes | str, charset: str | None = None) -> list[Line]:
    return list(file(data.encode() if isinstance(data, str) else data, charset).lines)


# ---------------------------------------------------------------- files of the field


@pytest.mark.parametrize("name", [path.stem for path in sorted(FILES.glob("*.csv"))])
def test_each_file_says_what_people_mean(name: str) -> None:
    data = (FILES / f"{name}.csv").read_bytes()
    assert lines(data) == WHAT_IS_RIGHT[name]
    if "cp1251" in name:
        assert lines(data, "windows-1251") == WHAT_IS_RIGHT[name]


# ---------------------------------------------------------------- one table, in any form

PHONE = "79123456789"


class Client(NamedTuple):
    phone: str
    tag: str
    timezone: str
    city: str


WORDS = ["vip", "Новый", "a,b", 'say "hi"', "c;d", "e\tf", "g|h", "5' 10\"", "две\r\nстроки", "one\ntwo", "-", "0"]
WORD = st.sampled_from(["", *WORDS])
CLIENT = st.builds(
    Client,
    phone=st.from_regex("79[0-9]{9}", fullmatch=True),
    tag=WORD,
    timezone=st.sampled_from(["", "Europe/Moscow", "Asia/Omsk"]),
    city=WORD,
)
HEADERS = {
    "phone": ["phone", "Phone", " PHONE ", "Телефон", "номер телефона", "\u200bphone", "Моб. телефон"],
    "tag": ["tag", "Tag", "ТЕГ", "метка "],
    "timezone": ["timezone", "Time zone", "Часовой пояс"],
    "city": ["city", " city", "city\xa0"],
}
SPELLINGS = [
    *("{0}", "+{0}", "8{1}", "{1}", "+7 ({2}) {3}-{4}-{5}", "8-{2}-{3}-{4}-{5}", "{2} {3} {4} {5}", "{0}.0", "{0},0"),
    *("'{0}", '="{0}"', "tel:+{0}", "\xa0{0}", "{0} ", "\t{0}", "\u202a+{0}\u202c", "8\u2011{2}\u2011{3}\u2013{4} {5}"),
]


class Form(NamedTuple):
    """How a table is written."""

    encoding: str
    separator: str
    ends: Sequence[str]
    all_in_quotes: bool
    pad: str
    places: Sequence[str]
    """Of members, `""` for a column without a name."""
    headers: dict[str, str]
    spelling: str
    has_separator_line: bool
    blank_rows: Sequence[int]


FORM = st.builds(
    Form,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251", "koi8-r", "cp866"]),
    separator=st.sampled_from(",;\t|"),
    ends=st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=1, max_size=3),
    all_in_quotes=st.booleans(),
    pad=st.sampled_from(["", " ", "  "]),
    places=st.permutations(["phone", "tag", "timezone", "city", ""]),
    headers=st.fixed_dictionaries({name: st.sampled_from(some) for name, some in HEADERS.items()}),
    spelling=st.sampled_from(SPELLINGS),
    has_separator_line=st.booleans(),
    blank_rows=st.lists(st.integers(0, 6), max_size=3),
)
CHARSETS = {
    **{"cp1251": "windows-1251", "koi8-r": "koi8-r", "cp866": "ibm866"},
    **{"utf-16-le": "utf-16le", "utf-16-be": "utf-16be"},
}


def spelled(phone: str, spelling: str) -> str:
    return spelling.format(phone, phone[1:], phone[1:4], phone[4:7], phone[7:9], phone[9:])


class Writer:
    """Writes a table in a form, and knows on which line each row begins."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._ends = 0
        self._written = ""
        self.text = ""

    def line(self, text: str) -> int:
        number = 1 + self.text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
        self.text += text + self._form.ends[self._ends % len(self._form.ends)]
        self._ends += 1
        return number

    def row(self, cells: Iterable[str]) -> int:
        return self.line(self._form.separator.join(map(self._cell, cells)))

    def _cell(self, text: str) -> str:
        form = self._form
        if form.all_in_quotes or any(sign in text for sign in f'{form.separator}"\r\n'):
            text = '"' + text.replace('"', '""') + '"'
        pad = form.pad.replace(form.separator, "")
        return f"{pad}{text}{pad}"


def written(clients: Sequence[Client], form: Form) -> tuple[bytes, list[Row]]:
    """The file, and what a person would say that it says."""
    writer = Writer(form)
    if form.has_separator_line:
        writer.line(f"sep={form.separator}")
    writer.row(form.headers.get(place, "") for place in form.places)
    expected = []
    for number, client in enumerate(clients):
        if number in form.blank_rows:
            writer.row("" for _ in form.places)
            writer.line("")
        cells = {**client._asdict(), "phone": spelled(client.phone, form.spelling)}
        line = writer.row(cells.get(place, "") for place in form.places)
        expected.append(
            Row(
                line,
                client.phone,
                tag=client.tag or None,
                timezone=client.timezone or None,
                attributes={"city": client.city} if client.city else None,
            )
        )
    return writer.text.encode(form.encoding), expected


def said(row: Line) -> Line:
    return row._replace(is_normalised=False, emptied=()) if isinstance(row, Row) else row


@given(st.lists(CLIENT, max_size=6), FORM, st.lists(st.integers(0, 500), max_size=5))
def test_one_table_in_any_form_says_the_same(clients: list[Client], form: Form, places: list[int]) -> None:
    try:
        data, expected = written(clients, form)
    except UnicodeEncodeError:
        form = form._replace(encoding="utf-8")
        data, expected = written(clients, form)
    found = read(CSV, in_pieces(data, [min(place, len(data)) for place in places]), CHARSETS.get(form.encoding))
    assert [said(line) for line in found.lines] == expected
    assert {column.taken_as for column in found.columns} == {"phone", "tag", "timezone", "attributes.city", None}
    assert found.separator == form.separator


# ---------------------------------------------------------------- what else people do


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "phone,tag\n79123456789\n79123456780,vip,\n79123456781,,,\n",
            [Row(2, "79123456789"), Row(3, "79123456780", tag="vip"), Row(4, "79123456781")],
        ),
        (
            "phone,tag\n79123456789,vip,x\n",
            [Refused(2, {"_schema": ["Has 3 cells, and there are 2 columns."]}, "", ("79123456789", "vip", "x"))],
        ),
        ("tag,phone\nvip\n", [Refused(2, {"_schema": ["Has 1 cells, and there are 2 columns."]}, "", ("vip",))]),
        (",phone,tag\n0,79123456789,vip\n1,79123456780,\n", [Row(2, "79123456789", tag="vip"), Row(3, "79123456780")]),
        (
            "phone,tag,\n79123456789,vip,x\n",
            [
                Refused(
                    2, {"_schema": ["Has something in column 3, which has no name."]}, "x", ("79123456789", "vip", "x")
                )
            ],
        ),
        ("phone,tag\n ,\xa0\n\u200b,\ufeff\n\n   \n79123456789,vip\n", [Row(6, "79123456789", tag="vip")]),
        (
            "phone,tag\n79123456789,vip\nphone,tag\n\ufeff79123456780,new\n",
            [
                *tagged(79123456789, "vip"),
                Refused(3, {"phone": [SHAPE]}, "phone", ("phone", "tag")),
                normal(Row(4, "79123456780", tag="new")),
            ],
        ),
        (
            "phone,tag\n7.9E+10,a\n,b\n01.02.2026,c\n=A1,d\n",
            [
                Refused(2, {"phone": [LOST_DIGITS]}, "7.9E+10", ("7.9E+10", "a")),
                Refused(3, {"phone": [SHAPE]}, "", ("", "b")),
                Refused(4, {"phone": [DATE]}, "01.02.2026", ("01.02.2026", "c")),
                Refused(5, {"phone": [FORMULA]}, "=A1", ("=A1", "d")),
            ],
        ),
        (
            "phone,tag\n79123456789,=1+1\n79123456780,@SUM(A1)\n",
            [*tagged(79123456789, "=1+1"), Row(3, "79123456780", tag="@SUM(A1)")],
        ),
        (
            'phone\n"79123456781\n79123456782\n79123456783"\n',
            [
                Refused(2, {"_schema": [HOLDS_ROWS]}, '"79123456781'),
                Row(3, "79123456782"),
                normal(Row(4, "79123456783")),
            ],
        ),
        (
            "phone,tag,city\n79123456789,'=1+1,'-5\n79123456780,'quoted','\n",
            [
                normal(Row(2, "79123456789", tag="=1+1", attributes={"city": "-5"})),
                Row(3, "79123456780", tag="'quoted'", attributes={"city": "'"}),
            ],
        ),
        ("phone,city\n79123456789,\u200b\n", [Row(2, "79123456789", is_normalised=True, emptied=("city",))]),
        ("phone,tag\n79123456789,Kafe\u0301\n", [normal(Row(2, "79123456789", tag="Kaf\xe9"))]),
        (
            "phone,tag,city\n79123456789,\u2800,\u0301\n",
            [Row(2, "79123456789", is_normalised=True, emptied=("tag", "city"))],
        ),
        ("phone,tag\r\n79123456789,vip\x1a", [normal(Row(2, "79123456789", tag="vip"))]),
        ("phone\n79123456789\n79123456780\x1a\x1a", [Row(2, "79123456789"), normal(Row(3, "79123456780"))]),
        ("phone,tag\r\n79123456789,vip\r\n\x1a\x1a\x1a", [Row(2, "79123456789", tag="vip")]),
        (
            'phone,tag,city\n79123456789,="vip","=""a""""b"""\n',
            [normal(Row(2, "79123456789", tag="vip", attributes={"city": 'a"b'}))],
        ),
        (
            "phone,operator_code,timezone\n79123456789,912.0,msk\n79123456780,'912,Asia/ omsk\n79123456781,912.5,+3\n",
            [
                normal(Row(2, "79123456789", "912", timezone="Europe/Moscow")),
                normal(Row(3, "79123456780", "912", timezone="Asia/Omsk")),
                Refused(
                    4,
                    {
                        "operator_code": ["Must be three digits."],
                        "timezone": ["Must be an IANA time zone such as Europe/Moscow."],
                    },
                    "912.5",
                    ("79123456781", "912.5", "+3"),
                ),
            ],
        ),
        (
            '"phone,""tag"""\n"79123456789,""a, b"""\n79123456780,c\n"79123456781,d"\n',
            [Row(2, "79123456789", tag="a, b"), Row(3, "79123456780", tag="c"), Row(4, "79123456781", tag="d")],
        ),
        (
            'phone,tag\n"79123456789,79123456780"\n"79123456789, доб. 3"\n"79123456781,d,e"\n',
            [
                Refused(2, {"phone": [SEVERAL]}, "79123456789,79123456780", ("79123456789,79123456780", "")),
                Refused(3, {"phone": [EXTENSION]}, "79123456789, доб. 3", ("79123456789, доб. 3", "")),
                Refused(4, {"phone": [BESIDE]}, "79123456781,d,e", ("79123456781,d,e", "")),
            ],
        ),
        (
            "phone,tag,city\n79123456789,a\0b,c\0d\n",
            [
                Refused(
                    2,
                    {name: ["Must not contain NUL characters or unpaired surrogates."] for name in ("tag", "city")},
                    "a?b",
                    ("79123456789", "a?b", "c?d"),
                )
            ],
        ),
        (
            "phone,city\n79123456789," + "c" * 1001 + "\n",
            [Refused(2, {"city": ["Must have at most 1000 characters."]}, "c" * 1001, ("79123456789", "c" * 1001))],
        ),
        (
            "phone,tag\n79123456789," + "t" * MAX_LINE + "\n79123456780,vip\n",
            [
                Refused(2, {"_schema": [TOO_LONG]}, ("79123456789," + "t" * MAX_LINE)[:MAX_LINE]),
                Row(3, "79123456780", tag="vip"),
            ],
        ),
        (
            "phone,tag\n1,x\n79123456789,b\n" + "8" * MAX_LINE,
            [
                Refused(2, {"phone": [SHAPE]}, "1", ("1", "x")),
                Row(3, "79123456789", tag="b"),
                Refused(4, {"phone": [SHAPE]}, "8" * MAX_LINE, ("8" * MAX_LINE, "")),
            ],
        ),
    ],
)
def test_what_people_and_programs_do(data: str, expected: Sequence[Line]) -> None:
    assert lines(data) == expected


def test_more_attributes_than_a_client_may_have() -> None:
    header = "phone," + ",".join(f"a{number}" for number in range(60))
    many, few = (f"79123456789,{','.join('x' * count)}" for count in (51, 50))
    first, second = lines(f"{header}\n{many}\n{few}\n")
    assert isinstance(first, Refused)
    assert first.errors == {"attributes": ["Has more than 50 attributes."]}
    assert isinstance(second, Row)
    assert len(second.attributes or ()) == 50


def test_an_encoding_that_changes_in_the_middle_costs_those_lines_only() -> None:
    data = "phone,tag\n79123456781,Новый\n79123456782,".encode() + "Старый".encode("cp1251") + b"\n79123456783,c\n"
    assert [line[1] for line in lines(data)] == ["79123456781", {"_schema": ["Is not UTF-8."]}, "79123456783"]
    data = "phone;tag\n79123456781;Новый\n79123456782;".encode("cp1251") + "Старый".encode() + b"\n79123456783;c\n"
    assert [line[1] for line in lines(data)] == ["79123456781", {"_schema": ["Is not WINDOWS-1251."]}, "79123456783"]


def test_half_a_character_at_the_end_costs_its_line_only() -> None:
    data = "phone\ttag\r\n79123456781\ta\r\n79123456782\tb".encode("utf-16")
    assert lines(data[:-1])[0] == Row(2, "79123456781", tag="a")
    assert lines(data[:-1])[1][1] == {"_schema": ["Is not UTF-16LE."]}


def test_a_connection_that_breaks_in_a_quoted_cell() -> None:
    """What came before is taken; then it is told."""

    def pieces() -> Iterator[bytes]:
        yield b'phone,tag\n79123456789,vip\n79123456780,"a\nb'
        raise BrokenOff("The body broke off before its end.")

    found = read(CSV, pieces()).lines
    assert next(found) == Row(2, "79123456789", tag="vip")
    with pytest.raises(BrokenOff):
        next(found)


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_costs_neither_memory_nor_time(name: str) -> None:
    """Neither grows faster than the file; `tests/long` sends a gigabyte of each."""
    head, unit = ENDLESS[name]
    piece = unit * max(16 * 1024 // len(unit), 1)
    peaks = []
    for count in (2, 8):
        tracemalloc.start()
        with suppress(Problem):
            for _ in read(CSV, chain([head] if head else [], repeat(piece, count))).lines:
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 2**19
    assert peaks[1] < 16 * 2**20


def test_empty_lines_before_objects_are_nothing() -> None:
    found = file(b'\r\n\n{"phone": "79123456789"}\n', content_type=None)
    assert list(found.lines) == [Row(3, "79123456789")]


def test_the_sign_that_ends_a_file_of_objects_is_nothing() -> None:
    assert list(file(b'{"phone": "79123456789"}\r\n\x1a', content_type=NDJSON).lines) == [Row(1, "79123456789")]


def test_a_file_of_no_type_is_told_by_what_comes_behind_however_many_blank_lines() -> None:
    blank = b"\n \n\t\r\n" * 100
    found = file(blank + b'{"phone": "79123456789"}\n8\n', content_type=None)
    assert [line.line for line in found.lines] == [301, 302]
    assert found.separator is None
    found = file(blank + b"phone\n79123456789\n", content_type=None)
    assert [line.line for line in found.lines] == [302]
    assert [column.taken_as for column in found.columns] == ["phone"]


@given(st.binary(max_size=300), st.sampled_from([CSV, NDJSON, None]), st.sampled_from([None, "utf-16", "windows-1251"]))
def test_any_bytes_are_read_or_refused(data: bytes, content_type: str | None, charset: str | None) -> None:
    with suppress(Problem):
        found = file(data, charset, content_type)
        _are_told(list(found.lines))


def _are_told(found: Sequence[Line]) -> None:
    numbers = [line.line for line in found]
    assert numbers == sorted(set(numbers))
    for line in found:
        for words in [line.value, *line.cells] if isinstance(line, Refused) else [line.tag or ""]:
            words.encode()  # the database can hold it
            assert "\0" not in words
