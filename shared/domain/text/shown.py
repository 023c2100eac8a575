"""What a text shows to whoever reads it. Pure."""

import re
import unicodedata

_BLANK = frozenset(
    "\u115f\u1160\u3164\uffa0"  # fillers of Hangul, which are letters
    "\u2800\U0001d159"  # a pattern of Braille without a dot, and a note without its head, which are symbols
)
_PICTURES = frozenset(map(chr, range(0x1F300, 0x1FB00)))  # each year has some that Python does not know yet
_SHOWN = frozenset("LNPS")  # letters, numbers, punctuation, symbols; not marks, which need something to stand on


MOST_CHARACTERS = 2000
"""Of a text, whoever it is made for."""


def shows_something(text: str) -> bool:
    """Whether there is anything to see but blanks, breaks and invisible marks."""
    for sign in text:  # noqa: SIM110 - of each personal text, and `any` takes four times as long
        if (unicodedata.category(sign)[0] in _SHOWN and sign not in _BLANK) or sign in _PICTURES:
            return True
    return False


_EDGES = "".join(map(chr, (
    *range(0x01, 0x21), *range(0x7F, 0xA1), 0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x1680, 0x180E, *range(0x2000, 0x2010),
    *range(0x2028, 0x2030), *range(0x205F, 0x2070), 0x2800, 0x3000, 0x3164, 0xFEFF, 0xFFA0,
)))  # fmt: skip
"""Blanks, breaks, control characters but NUL, and marks that nobody sees."""
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")


def label(text: str) -> str:
    """A tag, a name or a value as it is kept and looked for: what looks the same is the same. Without blanks and
    invisible marks at its ends, in the Unicode form NFC; case as given. Empty where nothing can be seen, but not where
    there is what no text can hold: that is refused by whoever takes it."""
    text = text.strip(_EDGES)
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text) if shows_something(text) or _NO_CHARACTER.search(text) else ""


BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell of CSV that begins so, behind any number of apostrophes, gets one apostrophe more; whoever reads the file back
takes one away from such a cell. So no program that calculates takes it for a formula, and nothing is lost."""
