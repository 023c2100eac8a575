"""What a text shows to whoever reads it. Pure."""

import unicodedata

_BLANK = frozenset(
    "\u115f\u1160\u3164\uffa0"  # fillers of Hangul, which are letters
    "\u2800"  # a pattern of Braille without a dot, which is a symbol
)
_SHOWN = frozenset("LNPS")  # letters, numbers, punctuation, symbols; not marks, which need something to stand on


MOST_CHARACTERS = 2000
"""Of a text, whoever it is made for."""


def shows_something(text: str) -> bool:
    """Whether there is anything to see but blanks, breaks and invisible marks."""
    for sign in text:  # noqa: SIM110 - of each personal text, and `any` takes four times as long
        if unicodedata.category(sign)[0] in _SHOWN and sign not in _BLANK:
            return True
    return False


_EDGES = "".join(map(chr, (
    *range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0xAD, 0x1680, 0x180E, *range(0x2000, 0x2010),
    *range(0x2028, 0x2030), *range(0x205F, 0x2065), *range(0x2066, 0x206A), 0x3000, 0xFEFF,
)))  # fmt: skip
"""Blanks, breaks, and marks that nobody sees."""


def label(text: str) -> str:
    """A tag, a name or a value as it is kept and looked for: what looks the same is the same. Without blanks and
    invisible marks at its ends, in the Unicode form NFC; case as given."""
    text = text.strip(_EDGES)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell of CSV that begins so, behind any number of apostrophes, gets one apostrophe more; whoever reads the file back
takes one away from such a cell. So no program that calculates takes it for a formula, and nothing is lost."""
