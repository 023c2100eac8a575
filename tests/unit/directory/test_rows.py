"""From text to rows: cells in quotes, lines that cannot be read, and that none is swallowed."""

import csv
import io
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.directory.files.rows import (
    GOES_ON,
    HOLDS_ROWS,
    MAX_LINES,
    NEVER_CLOSED,
    TOO_LONG,
    Broken,
    Cells,
    Row,
    read,
)
from api_service.directory.files.text_lines import MAX_LINE, Lines

Found = Row | Broken


def rows(
    text: str | Iterable[str], separator: str = ",", is_row: Callable[[str], bool] = lambda _: False
) -> list[Found]:
    return list(read(Lines([text] if isinstance(text, str) else text), separator, is_row))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\nc,d\n", [(1, ["a", "b"]), (2, ["c", "d"])]),
        ("a,b\r\nc,d\r\n", [(1, ["a", "b"]), (2, ["c", "d"])]),
        ("a,b\rc,d\r", [(1, ["a", "b"]), (2, ["c", "d"])]),
        ("a\nb\r\nc\rd", [(1, ["a"]), (2, ["b"]), (3, ["c"]), (4, ["d"])]),
        ("a\n\n\r\r\nb", [(1, ["a"]), (5, ["b"])]),
        ("\n\n\na", [(4, ["a"])]),
        (",a,\n,,", [(1, ["", "a", ""]), (2, ["", "", ""])]),
        ('"a","b"\n"c",d', [(1, ["a", "b"]), (2, ["c", "d"])]),
        ('"a,b",c\n"",""\n"a""b"', [(1, ["a,b", "c"]), (2, ["", ""]), (3, ['a"b'])]),
        ('"a\nb","c\r\nd"\n"e\r",f', [(1, ["a\nb", "c\r\nd"]), (4, ["e\r", "f"])]),
        ('"a\n\n\nb"\nc', [(1, ["a\n\n\nb"]), (5, ["c"])]),
        (' "a" , "b,c"\t,d', [(1, ["a", "b,c", "d"])]),
        ('a"b,5" c,"d"', [(1, ['a"b', '5" c', "d"])]),
        ("a\u2028b\x0cc\x85d,e", [(1, ["a\u2028b\x0cc\x85d", "e"])]),
        ("a\0b,c", [(1, ["a\0b", "c"])]),
        ("", []),
        ("\n", []),
    ],
)  # fmt: skip
def test_rows(text: str, expected: list[tuple[int, Cells]]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_separator(separator: str) -> None:
    line = separator.join(["a", '"b', 'c"', "", ' "d" ', '"e"'])
    expected = ["a", f"b{separator}c", "", "d", "e"]
    assert rows(line, separator) == [(1, expected)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a,"b\nc,d\ne,f\n', NEVER_CLOSED),
        ('a,"b\nc,d\ne,f', NEVER_CLOSED),
        ('a,"b\nc,"d\ne,f', GOES_ON),
        ('a,"b"x\nc,d\ne,f', GOES_ON),
        ('a,"b"x"\nc,d\ne,f', GOES_ON),
        ('a,"b\n' + "c,d\n" * 5000, NEVER_CLOSED),
        ('a,"b\n' + "\n" * 5000 + '"', NEVER_CLOSED),
        ('a,"' + "b" * MAX_LINE + '"\nc,d', TOO_LONG),
        ("a," + "b" * 100_000 + "\nc,d", TOO_LONG),
        ('a,"b\n' + "c" * 9000 + '"\nc,d', NEVER_CLOSED),
    ],
)
def test_a_line_that_cannot_be_read_takes_no_other_with_it(text: str, reason: str) -> None:
    first, *others = rows(text)
    assert first[0] == 1
    assert isinstance(first, Broken)
    assert first.reason == reason
    assert first.text == text.splitlines()[0][:MAX_LINE]
    number = 1 + len([line for line in text.splitlines() if line])
    assert len(others) == number - 2
    assert rows(text.partition("\n")[2]) == [other._replace(number=other.number - 1) for other in others]


def test_rows_within_a_cell_are_rows() -> None:
    """Two stray quotes, of which the second happens to close the first."""

    def is_row(line: str) -> bool:
        return line.startswith("79")

    text = '791,"5 inch\n792,b\n793,c"\n794,d\n795,"two\nlines"\n'
    found = rows(text, is_row=is_row)
    assert found[0] == (1, '791,"5 inch', HOLDS_ROWS)
    assert found[1:] == [(2, ["792", "b"]), (3, ["793", 'c"']), (4, ["794", "d"]), (5, ["795", "two\nlines"])]


def test_a_row_stands_on_no_more_lines_than_people_write() -> None:
    text = '"' + "\n" * (MAX_LINES - 1) + '"'
    assert rows(text) == [(1, ["\n" * (MAX_LINES - 1)])]
    assert rows(text.replace("\n", "\n\n", 1))[0] == (1, '"', NEVER_CLOSED)


QUIRKS = st.text(st.sampled_from('ab,"\r\n \0'), max_size=60)


@given(QUIRKS, st.lists(st.integers(0, 60), max_size=9))
def test_any_text_in_any_pieces(text: str, places: list[int]) -> None:
    cuts = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    assert rows(text) == rows([text[one:other] for one, other in pairwise(cuts)])


@given(QUIRKS)
def test_no_line_is_swallowed(text: str) -> None:
    """Each is a row, or cannot be read, or is blank, or is part of a cell that is closed."""
    found = rows(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []
    expected = 1
    for row in found:
        while expected < row.number:
            assert lines[expected - 1] == ""
            expected += 1
        assert row.number == expected
        expected += 1 if isinstance(row, Broken) else 1 + sum(map(_ends, row.cells))
    assert all(line == "" for line in lines[expected - 1 :])


def _ends(cell: str) -> int:
    return cell.replace("\r\n", "\n").replace("\r", "\n").count("\n")


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=2, max_size=5), max_size=8),
    st.booleans(),
)
def test_what_a_program_writes_is_read_cell_by_cell(table: list[Cells], all_in_quotes: bool) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL if all_in_quotes else csv.QUOTE_MINIMAL).writerows(table)
    assert [row[1] for row in rows(text.getvalue())] == table
