"""Files of clients as people have them, what each of their lines says, and files that have no end."""

from collections.abc import Sequence
from pathlib import Path

from api_service.directory.files.lines import Line, Refused, Row
from api_service.directory.files.phone_spellings import EXTENSION
from api_service.directory.files.rows import GOES_ON, NEVER_CLOSED

FILES = Path(__file__).parent


def tagged(first: int, *tags: str | None) -> list[Row]:
    return [Row(line, str(first + line - 2), tag=tag) for line, tag in enumerate(tags, 2)]


def normal(row: Row) -> Row:
    return row._replace(is_normalised=True)


RUSSIAN = tagged(79120000001, "vip", "новый", "старый")
WHAT_IS_RIGHT: dict[str, Sequence[Line]] = {
    "a01_excel_ru_semicolon_cp1251": RUSSIAN,
    "a04_excel_unicode_text_utf16le_tab": RUSSIAN,
    "a08_cr_only": RUSSIAN,
    "a10_header_case_spaces": [Row(2, "79120000021", tag="vip", timezone="Europe/Moscow")],
    "a13_trailing_sep": tagged(79120000031, "vip", "old"),
    "a15_trailing_empty_rows": tagged(79120000041, "vip", "old"),
    "a17_leading_empty_col": tagged(79120000045, "vip"),
    "a18_extra_columns": [Row(2, "79120000046", tag="vip", attributes={"name": "Анна"})],
    "a21_quoted_newline": [
        Row(2, "79120000051", tag="line one\r\nline two"),
        Row(4, "79120000052", tag='a "quoted" tag'),
        Row(5, "79120000053", tag="plain"),
    ],
    "a22_quote_unclosed": [
        Refused(2, {"_schema": [GOES_ON]}, '79120000061,"5 inch'),
        *tagged(79120000061, "", "b", "c", "d")[1:],
    ],
    "a25_bom_before_quoted_header": tagged(79120000081, "vip"),
    "a28_tag_trailing_space_case": [
        normal(row) if row.line in (3, 4, 6) else row for row in tagged(79120000091, "vip", "vip", "vip", "VIP", "vip")
    ],
    "b01_stray_quote_1000": [
        Row(2 + number, str(79140000000 + number), tag=f"tag{number % 3}")
        if number != 499
        else Refused(501, {"_schema": [NEVER_CLOSED]}, '79140000499,"5 inch screen buyers')
        for number in range(1000)
    ],
    "phone_spellings": [
        normal(Row(line, str(79123456699 + 2 * (line - 1)), tag=f"f{2 * line - 3}"))
        if line != 9
        else Refused(9, {"phone": [EXTENSION]}, "8 912 345 67 15 доб. 3", ("8 912 345 67 15 доб. 3", "f15"))
        for line in range(2, 12)
    ],
}

ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "one line": (b"phone,tag\n", b"7"),
    "one line that names the columns": (b"", b"phone"),
    "quotes": (b"phone,tag\n", b'"'),
    "quotes that are not closed": (b"phone,tag\n", b'1,"\n'),
    "quotes that open one another": (b"phone,tag\n", b'x""","\n'),
    "a quote before many blank rows": (b"phone,tag\n", b'"' + b"\n" * 8100),
    "commas": (b"phone,tag\n", b","),
    "rows of commas": (b"phone,tag\n", b",,,\n"),
    "blank rows": (b"phone,tag\n", b"\n"),
    "blank rows before the header": (b"", b"\r\n"),
    "blanks": (b"", b" "),
    "NUL": (b"", b"\0"),
    "no character": (b"phone,tag\n", b"\xff"),
    "byte order marks": (b"", b"\xef\xbb\xbf"),
    "letters of no word": (b"phone,tag\n", b"a\xe0"),
    "half pairs": (b"\xff\xfep\0h\0o\0n\0e\0\n\0", b"\0\xd8"),
    "the longest phones": (b"phone,tag\n", b"8" * 8000 + b"\n"),
}
"""The head of each, and what comes again and again."""
