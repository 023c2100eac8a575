"""From bytes to text: what is told from a beginning, what is declared, and what cannot be decoded."""

import codecs
import gzip
import io
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.directory.files.encodings import UNDECODED, Text
from api_service.directory.files.faults import NotText
from tests.support.files import in_pieces

RUSSIAN = "телефон;тег\r\n79120000001;Новый покупатель\r\n79120000002;МОСКВА\r\n"
UTF_16 = ("utf-16le", "utf-16be")
LATIN = "phone,tag\n79120000001,vip\n"
MIXED = "phone,name\n79120000001,Müller\n79120000002,José 👋\n79120000003,Анна\n"


def decoded(data: bytes, charset: str | None = None) -> tuple[str, str]:
    text = Text([data] if data else [], charset)
    return "".join(text), text.encoding


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (LATIN.encode(), LATIN, "utf-8"),
        (MIXED.encode(), MIXED, "utf-8"),
        (RUSSIAN.encode("utf-8-sig"), RUSSIAN, "utf-8"),
        (codecs.BOM_UTF16_LE + MIXED.encode("utf-16le"), MIXED, "utf-16le"),
        (codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16be"), RUSSIAN, "utf-16be"),
        (LATIN.encode("utf-16le"), LATIN, "utf-16le"),
        (RUSSIAN.encode("utf-16be"), RUSSIAN, "utf-16be"),
        *((f"{sign};{RUSSIAN}".encode(codec), f"{sign};{RUSSIAN}", codec) for sign in "№—“" for codec in UTF_16),
        (RUSSIAN.encode("cp1251"), RUSSIAN, "windows-1251"),
        (RUSSIAN.encode("koi8-r"), RUSSIAN, "koi8-r"),
        ((LATIN * 5000 + RUSSIAN).encode("cp1251"), LATIN * 5000 + RUSSIAN, "windows-1251"),
        ("phone;tag\n1;новый\n2;старый\n".encode("cp1251"), "phone;tag\n1;новый\n2;старый\n", "windows-1251"),
        ("phone;tag\n1;ИВАНОВ ИВАН\n".encode("cp1251"), "phone;tag\n1;ИВАНОВ ИВАН\n", "windows-1251"),
        ("phone;tag\n1;ИВАНОВ ИВАН\n".encode("koi8-r"), "phone;tag\n1;ИВАНОВ ИВАН\n", "koi8-r"),
        (b"", "", "utf-8"),
        (codecs.BOM_UTF8, "", "utf-8"),
        (codecs.BOM_UTF16_LE, "", "utf-16le"),
        (b"p", "p", "utf-8"),
    ],
)  # fmt: skip
def test_an_encoding_is_told(data: bytes, text: str, encoding: str) -> None:
    assert decoded(data) == (text, encoding)


@pytest.mark.parametrize(
    ("charset", "codec", "encoding"),
    [
        *(("utf-8", "utf-8", "utf-8"), ("UTF8", "utf-8", "utf-8"), ('"utf-8"', "utf-8", "utf-8")),
        *(("windows-1251", "cp1251", "windows-1251"), ("cp1251", "cp1251", "windows-1251")),
        *(("Windows-1251", "cp1251", "windows-1251"), ("KOI8-R", "koi8-r", "koi8-r"), ("koi8-u", "koi8-u", "koi8-u")),
        *(("ibm866", "cp866", "ibm866"), ("CP866", "cp866", "ibm866"), ("iso-8859-5", "iso8859-5", "iso-8859-5")),
        *(("x-mac-cyrillic", "mac-cyrillic", "x-mac-cyrillic"), ("utf-16", "utf-16le", "utf-16le")),
        *(("utf-16be", "utf-16be", "utf-16be"), ("UTF16LE", "utf-16le", "utf-16le"), ("UCS-2", "utf-16le", "utf-16le")),
        *((name, "cp1251", "windows-1251") for name in ("windows1251", "Win-1251", "WIN1251", "cp_1251", "1251")),
        *(("koi8r", "koi8-r", "koi8-r"), ("dos-866", "cp866", "ibm866"), ("utf8mb4", "utf-8", "utf-8")),
        *(("MacCyrillic", "mac-cyrillic", "x-mac-cyrillic"), ("ISO_8859-5:", "iso8859-5", "iso-8859-5")),
    ],
)
def test_an_encoding_is_declared(charset: str, codec: str, encoding: str) -> None:
    assert decoded(RUSSIAN.encode(codec), charset) == (RUSSIAN, encoding)


def test_a_mark_says_more_than_what_is_declared() -> None:
    assert decoded(codecs.BOM_UTF16_LE + RUSSIAN.encode("utf-16le"), "utf-8") == (RUSSIAN, "utf-16le")
    assert decoded(RUSSIAN.encode("utf-8-sig"), "windows-1251") == (RUSSIAN, "utf-8")


@pytest.mark.parametrize(
    "charset", ["klingon", "utf-7", "punycode", "base64", "rot13", "utf-32", "idna", "\0", "utf-8\n8"]
)
def test_a_charset_that_is_not_known(charset: str) -> None:
    with pytest.raises(NotText, match="The charset is none of utf-8, utf-16le"):
        Text([LATIN.encode()], charset)


@pytest.mark.parametrize(
    "data",
    [
        "phone,name\n1,Müller\n2,José\n3,été\n4,à\n5,ñandú\n".encode("latin-1"),
        b"phone,tag\n1,\xff\n2,b\n",
        b"phone,tag\n1,\xe0\n2,b\n",
        RUSSIAN.encode("cp866"),
        b"phone,tag\n1,\xff" + "\n2,Новый\n3,\x80".encode(),
        "phone;tag\n1;новый\n".encode("koi8-r"),  # five letters that may be capitals of another encoding
        bytes(range(128, 256)) * 10,
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_not_guessed(data: bytes) -> None:
    text, encoding = decoded(data)
    assert encoding == "utf-8"
    assert UNDECODED.search(text)


def test_capitals_of_another_encoding_are_no_letters() -> None:
    """Windows-1251 and old Macs have the same small letters: what is told from these must not make names of others."""
    text, encoding = decoded("телефон;имя\r79123456789;Анна\r79123456788;Ольга Петровна\r".encode("mac-cyrillic"))
    assert encoding == "windows-1251"
    assert [bool(UNDECODED.search(line)) for line in text.split("\r")] == [False, True, True, False]
    for said in ("windows-1251", None):
        text, encoding = decoded("телефон;имя\n1;Ђорђе\n".encode("cp1251"), said)
        assert (encoding, bool(UNDECODED.search(text))) == ("windows-1251", said is None)


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251", "koi8-r"])
def test_an_encoding_that_changes_in_the_middle_is_marked(encoding: str) -> None:
    """In those lines that are in another one, and in no others."""
    other = "windows-1251" if encoding == "utf-8" else "utf-8"
    text, told = decoded("1;Новый покупатель\n".encode(encoding) * 100 + "2;Старый\n".encode(other) * 3)
    assert told == encoding
    assert [bool(UNDECODED.search(line)) for line in text.splitlines()] == [False] * 100 + [True] * 3


@pytest.mark.parametrize("encoding", ["utf-16le", "utf-16be"])
def test_half_a_character_at_the_end(encoding: str) -> None:
    data = RUSSIAN.encode(encoding)
    assert decoded(data + b"\x04") == (RUSSIAN + "\udc80", encoding)
    lone = "a\ud83d".encode(encoding, "surrogatepass")
    assert decoded(data + lone) == (RUSSIAN + "a\ud83d", encoding)
    assert UNDECODED.search(decoded(data + lone + b"\x04")[0])


@given(
    units=st.lists(st.one_of(st.integers(0xD7FE, 0xE001), st.integers(0x20, 0x7E)), max_size=30),
    encoding=st.sampled_from(["utf-16le", "utf-16be"]),
    data=st.data(),
)
def test_any_halves_in_any_pieces(units: list[int], encoding: str, data: st.DataObject) -> None:
    """As Python's codec has them, which for a file of nothing else takes seven times as long."""
    text = "".join(map(chr, units))
    encoded = "phone".encode(encoding) + text.encode(encoding, "surrogatepass")
    pieces = in_pieces(encoded, data.draw(st.lists(st.integers(0, len(encoded)), max_size=9)))
    assert "".join(Text(pieces, encoding)) == encoded.decode(encoding, "surrogatepass")


def archive(*names: str, first: bytes = b"") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name in names:
            made.writestr(name, first)
    return data.getvalue()


FOREIGN = {
    "Excel workbook (.xlsx)": [
        archive("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"),
        archive("_rels/.rels"),
        archive("docProps/app.xml"),
    ],
    "Excel workbook (.xls)": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600],
    "OpenDocument spreadsheet (.ods)": [archive("mimetype", first=b"application/vnd.oasis.opendocument.spreadsheet")],
    "ZIP archive": [archive("clients.csv"), b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18],
    "PDF document": [b"%PDF-1.7\n"],
    "gzip": [gzip.compress(LATIN.encode(), mtime=0)],
    "7-Zip": [b"7z\xbc\xaf\x27\x1c"],
    "RAR": [b"Rar!\x1a\x07"],
    "vCard": [b"BEGIN:VCARD\r\nVERSION:3.0\r\n"],
    "HTML": [b"<!DOCTYPE html><html>", b'\n\n <html xmlns:x="urn:schemas-microsoft-com:office:excel">', b"<table><tr>"],
    "XML": [b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>', codecs.BOM_UTF8 + b"<?xml "],
    "RTF": [b"{\\rtf1\\ansi"],
    "UTF-32": [LATIN.encode("utf-32"), codecs.BOM_UTF32_BE + LATIN.encode("utf-32be")],
    "picture": [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"],
}


@pytest.mark.parametrize(("kind", "data"), [(kind, data) for kind, some in FOREIGN.items() for data in some])
def test_what_is_no_text_is_refused_in_words_that_help(kind: str, data: bytes) -> None:
    for pieces in ([data], [data[place : place + 1] for place in range(len(data))]):
        with pytest.raises(NotText) as refused:
            Text(pieces)
        assert kind in str(refused.value)
        assert "CSV" in str(refused.value)


def test_the_beginning_is_not_waited_for_longer_than_it_takes() -> None:
    """A file of which only the first line has come is begun."""

    def pieces() -> Iterator[bytes]:
        yield b"phone\n"
        raise AssertionError("More was asked for.")

    assert next(iter(Text(pieces()))) == "phone\n"


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x04\ufeff"), min_size=4),
    codec=st.sampled_from(["utf-8-sig", "utf-16", "utf-8"]),
    data=st.data(),
)
def test_any_text_in_any_pieces(text: str, codec: str, data: st.DataObject) -> None:
    encoded = ("phone" + text).encode(codec)
    assert decoded(encoded)[0] == "phone" + text
    pieces = list(in_pieces(encoded, data.draw(st.lists(st.integers(0, len(encoded)), max_size=9))))
    assert "".join(Text(pieces)) == "phone" + text


@given(
    st.binary(max_size=200), st.sampled_from([None, "utf-8", "utf-16", "windows-1251", "koi8-r", "ibm866"]), st.data()
)
def test_any_bytes_are_text_or_are_not_whatever_the_pieces(
    data: bytes, charset: str | None, draw: st.DataObject
) -> None:
    places = draw.draw(st.lists(st.integers(0, len(data)), max_size=9))
    try:
        found = decoded(data, charset)
    except NotText:
        with pytest.raises(NotText):
            Text(in_pieces(data, places), charset)
    else:
        text = Text(in_pieces(data, places), charset)
        assert ("".join(text), text.encoding) == found
