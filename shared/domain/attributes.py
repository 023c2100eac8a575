"""What is known of a client beside phone, tag and time zone: strings, numbers and booleans by name. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from shared.domain.text.shown import label

MAX = 50
MAX_NAME = 64  # characters
MAX_VALUE = 1000
"""Characters of a string."""
MAX_NUMBER = 2**53 - 1
"""From there on, to either side, not every program reads a number as another wrote it."""

Value = str | int | float | bool

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
NO_TEXT = "Must not contain NUL characters or unpaired surrogates."
TOO_MANY = f"Has more than {MAX} attributes."


def name_fault(name: str) -> str | None:
    """What is wrong with a name that is trimmed already."""
    if not name:
        return "A name shows something."
    if _NO_TEXT.search(name):
        return NO_TEXT
    return f"A name has at most {MAX_NAME} characters." if len(name) > MAX_NAME else None


def value_fault(value: Any) -> str | None:
    """What is wrong with a value; of a string when it is trimmed already."""
    if isinstance(value, str):
        if not value:
            return "Must show something; leave out what is not known."
        if _NO_TEXT.search(value):
            return NO_TEXT
        return f"Must have at most {MAX_VALUE} characters." if len(value) > MAX_VALUE else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return None if abs(value) <= MAX_NUMBER else f"Must lie between -{MAX_NUMBER} and {MAX_NUMBER}."
    return "Must be a string, a number, true or false."


def trimmed(value: Any) -> Any:
    """As it is kept: strings as labels are, so that what looks the same is the same."""
    return label(value) if isinstance(value, str) else value


def are_same(one: Mapping[str, Value] | None, other: Mapping[str, Value] | None) -> bool:
    """Whether names and values are equal, as in JSON: to Python 1 is true, and here it is not."""
    if one is None or other is None or one != other:
        return one is other
    return all(isinstance(value, bool) == isinstance(other[name], bool) for name, value in one.items())
