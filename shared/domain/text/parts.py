"""How many parts (segments) an SMS takes. Pure.

A part has 140 octets: 160 septets of the GSM 7-bit alphabet or, where the text has any other character, 70 units of
UCS-2, which today is UTF-16. Of a text with several parts each gives 6 octets, or 7 septets, to the header that joins
them; and what takes two septets or two units is not split between two parts, so that a part may end before it is full.
Source: 3GPP TS 23.038, 6.2.1 (alphabets), and TS 23.040, 9.2.3.24 (joining).
"""

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
"""Each behind an escape, and so two septets."""

GSM7 = BASIC | EXTENDED


class Encoding(StrEnum):
    GSM7 = "gsm-7"
    UCS2 = "ucs-2"


@dataclass(frozen=True, slots=True)
class Parts:
    """units: septets or UTF-16 units, escapes included. left: how many more the last part has room for."""

    encoding: Encoding
    count: int
    units: int
    left: int


def parts(text: str) -> Parts:
    """Of an empty text it is one part all the same: a message is sent."""
    if GSM7.issuperset(text):
        return _cut(text, Encoding.GSM7, 160, 153, EXTENDED.intersection(text))
    return _cut(text, Encoding.UCS2, 70, 67, {sign for sign in set(text) if sign > "\uffff"})


def _cut(text: str, encoding: Encoding, alone: int, joined: int, wide: Set[str]) -> Parts:
    """alone, joined: units of a part. wide: the characters of the text that take two of them."""
    units = len(text) + sum(map(text.count, wide))
    if units <= alone:
        return Parts(encoding, 1, units, alone - units)
    if not wide:
        count = -(-units // joined)
        return Parts(encoding, count, units, count * joined - units)
    count, left = 1, joined
    for sign in text:
        width = 2 if sign in wide else 1
        if width > left:
            count, left = count + 1, joined
        left -= width
    return Parts(encoding, count, units, left)
