"""Phones in texts that are kept or logged: recognisable to who knows them, and told to nobody else. Pure."""

import re

PHONE = re.compile(r"(?<![0-9])7[0-9]{10}(?![0-9])")

_BETWEEN = r"[ \u00a0().\u2010-\u2015-]{0,3}"
_SPELLED = re.compile(
    rf"(?<![0-9])(?:\+?[78]{_BETWEEN}(?:[0-9]{_BETWEEN}){{9}}[0-9]|9(?:{_BETWEEN}[0-9]){{9}})(?![0-9])"
)
"""With or without the first digit, and with what people write between digits."""


def masked(phone: int | str) -> str:
    """`7912*****67`."""
    digits = str(phone)
    return f"{digits[:4]}*****{digits[-2:]}" if len(digits) > 8 else "*" * len(digits)


def without_phones(text: str) -> str:
    """With all masked that may be a phone, however it is spelled."""
    return _SPELLED.sub(lambda match: masked("".join(filter(str.isdigit, match[0]))), text)


def has_phone(text: str, phone: int | str) -> bool:
    """Whether its ten last digits are in the text, whatever stands between them."""
    return str(phone)[1:] in _NO_DIGITS.sub("", text)


_NO_DIGITS = re.compile(r"[^0-9]+")
