"""What a file is that is no text: by the bytes that it begins with, whatever its name and type say."""

from collections.abc import Sequence

LONGEST = 512
"""Bytes from which everything can be told."""

_ZIP = b"PK\x03\x04"
_INSIDE = (  # names that the first parts of an archive have
    (b"[Content_Types].xml", "an Excel workbook (.xlsx)"),
    (b"_rels/.rels", "an Excel workbook (.xlsx)"),
    (b"docProps/", "an Excel workbook (.xlsx)"),
    (b"xl/", "an Excel workbook (.xlsx)"),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)"),
    (b"Index/", "a Numbers spreadsheet"),
)
_KINDS = (
    (_ZIP, "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"),
    (b"\x09\x08\x10\x00", "an Excel workbook (.xls)"),
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "compressed with gzip, and nothing in the request says so"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"{\\rtf", "an RTF document"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\xff\xfe\x00\x00", "a text in UTF-32"),
    (b"\x00\x00\xfe\xff", "a text in UTF-32"),
)
_MARKED = (  # texts that programs write in place of a table; in any case, behind blanks
    (b"<!doctype", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<table", "a web page (HTML)"),
    (b"<?xml", "an XML document"),
    (b"mime-version:", "a web archive (MHTML)"),
    (b"begin:vcard", "an address book (vCard)"),
)

_UNPACK = "Unpack it, and send the CSV file that is in it"
_HELP = {
    "a ZIP archive": f"{_UNPACK}.",
    "a 7-Zip archive": f"{_UNPACK}.",
    "a RAR archive": f"{_UNPACK}.",
    "compressed with gzip, and nothing in the request says so": f"{_UNPACK}, or say Content-Encoding: gzip.",
    "compressed with bzip2": f"{_UNPACK}.",
    "compressed with xz": f"{_UNPACK}.",
    "compressed with zstd": f"{_UNPACK}.",
}
SAVE_AS_CSV = (
    "Save the table as CSV: in Excel, File, Save As, “CSV UTF-8 (Comma delimited)”; in LibreOffice, File, Save As,"
    " “Text CSV”; in Google Sheets or Numbers, File, Download or Export, CSV."
)


def is_undecided(beginning: bytes) -> bool:
    """Whether more bytes may show that it is no text."""
    if len(beginning) >= LONGEST:
        return False
    if beginning.startswith(_ZIP):
        return True
    bare = beginning.lstrip().lower()
    return any(_may_become(beginning, sign) for sign, _ in _KINDS) or any(
        _may_become(bare, sign) for sign, _ in _MARKED
    )


def foreign(beginning: bytes) -> str | None:
    """What it is if it is no text, and what helps; None: a text, as far as can be told."""
    kind = _kind(beginning)
    return kind and f"The file is {kind}, not CSV. {_HELP.get(kind, SAVE_AS_CSV)}"


def _kind(beginning: bytes) -> str | None:
    kind = _first(_KINDS, beginning) or _first(_MARKED, beginning.lstrip().lower())
    if beginning.startswith(_ZIP):
        return next((name for part, name in _INSIDE if part in beginning), kind)
    return kind


def _first(kinds: Sequence[tuple[bytes, str]], beginning: bytes) -> str | None:
    return next((name for sign, name in kinds if beginning.startswith(sign)), None)


def _may_become(beginning: bytes, sign: bytes) -> bool:
    return len(beginning) < len(sign) and sign.startswith(beginning)
