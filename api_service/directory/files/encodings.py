"""From bytes to text: by a byte order mark, by the `charset` that is declared, by what can be told, else UTF-8.

What cannot be decoded becomes a lone surrogate, which no text has otherwise: whoever reads on finds it in its line, and
the other lines are as good as ever.
"""

import codecs
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from api_service.directory.files import kinds
from api_service.directory.files.cyrillic import Telling
from api_service.directory.files.faults import NotText

UNDECODED = re.compile("[\ud800-\udfff]")
"""What could not be decoded."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
_UNICODE = ("utf-8", "utf-16le", "utf-16be")
_TABLES = {
    **{f"windows-{number}": f"cp{number}" for number in range(1250, 1259)},
    **{f"iso-8859-{number}": f"iso8859-{number}" for number in (*range(1, 12), *range(13, 17))},
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "ibm866": "cp866",
    "ibm855": "cp855",
    "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman",
}
"""A character each byte. By the names that the web has for them: those of the codecs."""
_ALIASES = {
    **{f"{before}{number}": f"windows-{number}" for before in ("cp", "win", "") for number in range(1250, 1259)},
    **dict.fromkeys(("utf8sig", "utf8bom", "utf8mb4", "usascii", "ascii"), "utf-8"),
    **dict.fromkeys(("utf16", "ucs2", "unicode"), "utf-16le"),
    **dict.fromkeys(("latin1", "l1"), "iso-8859-1"),
    **dict.fromkeys(("cp866", "dos866", "866"), "ibm866"),
    **dict.fromkeys(("maccyrillic", "xmaccyrillic"), "x-mac-cyrillic"),
    "cp855": "ibm855",
    "koi8": "koi8-r",
}
_NAMES = {re.sub("-", "", name): name for name in (*_UNICODE, *_TABLES)} | _ALIASES
"""Without what people put between the parts of a name."""
_BETWEEN_PARTS = re.compile(r"[-_ :.]+")
_UTF8_WORD = re.compile(b"(?:[\xd0\xd1][\x80-\xbf]){3,}")
"""Cyrillic in UTF-8, which a table would read as capitals and signs in turn, as nobody writes."""
_HAS_NO_98 = ("windows-1251", "koi8-r", "koi8-u")
"""Tables in which this byte is nothing that anybody writes: it stands for what makes no sense."""
_NOT_RUSSIAN = "ЂЃѓЉЊЌЋЏђљњќћџЈјЅѕ"
"""Letters of Windows-1251 that Russian, Ukrainian and Belarusian do not have: where the encoding was not declared, they
stand for the capitals of another one, such as that of old Macs, whose small letters are the same."""
_MARK = "\udc80"
_HIGH = bytes(range(128, 256))
_LONG = 128 * 1024

_Decode = Callable[[bytes, bool], str]
"""A piece, and whether it is the last one."""


class Text:
    """The text of a file. encoding: as far as it has been read; nothing but ASCII is called UTF-8.

    Can be gone through once, in pieces of any length. Raises NotText, at once.
    """

    def __init__(self, pieces: Iterable[bytes], charset: str | None = None) -> None:
        """charset: as declared; None: it is not."""
        declared = _known(charset) if charset else None
        source = iter(pieces)
        beginning = _beginning(source)
        if words := kinds.foreign(beginning.removeprefix(codecs.BOM_UTF8)):
            raise NotText(words)
        mark, encoding = next((one for one in _MARKS if beginning.startswith(one[0])), (b"", declared))
        if encoding is None:
            encoding = _unmarked(beginning)
        self.encoding = encoding or "utf-8"
        self._is_told = encoding is not None
        beginning = beginning.removeprefix(mark)
        self._pieces = chain([beginning] if beginning else [], source)

    def __iter__(self) -> Iterator[str]:
        pieces = self._pieces
        if not self._is_told:
            held: list[bytes] = []
            telling = Telling()
            for piece in pieces:
                found = telling.more(piece)
                if not held and piece.isascii():
                    yield piece.decode("ascii")
                    continue
                held.append(piece)
                if found:
                    self.encoding = found
                    break
            else:
                self.encoding = telling.end()
            pieces = chain([b"".join(held)], pieces)
        decode = _decoder(self.encoding, is_guessed=not self._is_told)
        for piece in pieces:
            if text := decode(piece, False):
                yield text
        if text := decode(b"", True):
            yield text


def _known(charset: str) -> str:
    """Raises NotText."""
    name = _NAMES.get(_BETWEEN_PARTS.sub("", charset.strip("\"' ").lower()))
    if name is None:
        raise NotText(f"The charset is none of {', '.join((*_UNICODE, *_TABLES))}.")
    return name


def _beginning(source: Iterator[bytes]) -> bytes:
    """As many bytes as it takes to tell what the file is."""
    beginning = b""
    while _is_undecided(beginning) and (piece := next(source, None)) is not None:
        beginning += piece
    return beginning


def _is_undecided(beginning: bytes) -> bool:
    return (
        len(beginning) < 4
        or (_has_gaps(beginning) and len(beginning) < 8)
        or any(len(beginning) < len(mark) and mark.startswith(beginning) for mark, _ in _MARKS)
        or kinds.is_undecided(beginning.removeprefix(codecs.BOM_UTF8))
    )


def _has_gaps(beginning: bytes) -> bool:
    return any(byte in _LETTERS for byte in beginning[:4])


def _unmarked(beginning: bytes) -> str | None:
    """UTF-16 without a mark: of its first signs one byte each is that of Latin or of Cyrillic, but for a sign like № or
    a dash. None: something else."""
    start = beginning[:8]
    if not _has_gaps(start):
        return None
    for first, encoding in ((1, "utf-16le"), (0, "utf-16be")):
        pages, others = start[first::2], start[1 - first :: 2]
        letters = sum(byte in _LETTERS for byte in pages)
        signs = sum(byte in _SIGNS for byte in pages)
        if letters + signs == len(pages) and letters > signs and not any(byte in _LETTERS for byte in others):
            return encoding
    return None


def _decoder(encoding: str, *, is_guessed: bool) -> _Decode:
    """is_guessed: by what is in the text."""
    if encoding == "utf-8":
        return codecs.getincrementaldecoder(encoding)("surrogateescape").decode
    if encoding in _UNICODE:
        return _utf_16(encoding)
    return _by_table(encoding, is_guessed=is_guessed)


def _utf_16(encoding: str) -> _Decode:
    """Of which halves of a pair may be missing, and the last character may be cut."""
    read = codecs.utf_16_le_decode if encoding == "utf-16le" else codecs.utf_16_be_decode
    held = b""

    def decode(piece: bytes, final: bool) -> str:
        nonlocal held
        piece = held + piece
        try:
            text, used = read(piece, "strict", final)
        except UnicodeDecodeError:
            text, used = _in_units(piece, encoding, final)
        held = piece[used:]
        return text

    return decode


def _in_units(piece: bytes, encoding: str, final: bool) -> tuple[str, int]:
    """The same unit by unit: a handler of errors would be called for each half, which takes twenty times as long. The
    text, and how many bytes were used."""
    used = len(piece) - len(piece) % 2
    units = array("H", piece[:used])
    if (sys.byteorder == "little") is not (encoding == "utf-16le"):
        units.byteswap()
    if units and not final and units[-1] in _FIRST_HALVES:
        units.pop()
        used -= 2
    text = _PAIR.sub(_joined, "".join(map(chr, units)))
    return (text + _MARK, len(piece)) if final and used < len(piece) else (text, used)


_LETTERS = (0x00, 0x04)
_SIGNS = (0x20, 0x21)
"""Pages of Unicode: first bytes of what is Latin or Cyrillic, and of its dashes, quotation marks and №."""
_FIRST_HALVES = range(0xD800, 0xDC00)
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16le", "surrogatepass").decode("utf-16le")


def _by_table(encoding: str, *, is_guessed: bool) -> _Decode:
    table = _table(encoding)
    if is_guessed:
        table = table.translate(dict.fromkeys(map(ord, _NOT_RUSSIAN), _MARK))
    is_mixed = encoding in _HAS_NO_98
    held = b""

    def decode(piece: bytes, final: bool) -> str:
        nonlocal held
        if not held and piece.isascii():
            return piece.decode("ascii")
        piece = held + piece
        end = len(piece) if final or len(piece) > _LONG else len(piece.rstrip(_HIGH))  # a word goes as a whole
        piece, held = piece[:end], piece[end:]
        return codecs.charmap_decode(_UTF8_WORD.sub(b"\x98", piece) if is_mixed else piece, "strict", table)[0]

    return decode


def _table(encoding: str) -> str:
    """A character for each byte; what is none is marked."""
    signs = [bytes([byte]).decode(_TABLES[encoding], "surrogateescape") for byte in range(256)]
    if encoding in _HAS_NO_98:
        signs[0x98] = _MARK
    return "".join(signs)
