"""What a text shows to whoever reads it. Pure."""

import unicodedata

_BLANK = frozenset(
    "\u115f\u1160\u3164\uffa0"  # fillers of Hangul, which are letters
    "\u2800"  # a pattern of Braille without a dot, which is a symbol
)
_SHOWN = frozenset("LNPS")  # letters, numbers, punctuation, symbols; not marks, which need something to stand on


def shows_something(text: str) -> bool:
    """Whether there is anything to see but blanks, breaks and invisible marks."""
    return any(unicodedata.category(sign)[0] in _SHOWN and sign not in _BLANK for sign in text)
