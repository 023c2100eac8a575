"""The filters of texts: those of Liquid that make sense in a message, bounded. Pure.

None of them gets or gives more than MOST_CHARACTERS or MOST_ITEMS, so whatever is chained costs little; a value that is
missing passes none of them but `default`. None looks at a clock or a time zone: what was shown before is what is sent.
"""

import re
from collections.abc import Callable, Sized
from datetime import datetime
from functools import wraps
from typing import Any

from liquid import Environment, is_undefined
from liquid.exceptions import FilterArgumentError, ResourceLimitError

MOST_CHARACTERS = 2000
MOST_ITEMS = 200
_MOST_BITS = 1000  # of a whole number

# For web pages, or of bytes; `date` reads the clock, and whatever looks like a date to it.
_LEFT_OUT = (
    "base64_decode", "base64_encode", "base64_url_safe_decode", "base64_url_safe_encode", "date", "escape",
    "escape_once", "escapejs", "newline_to_br", "safe", "strip_html", "url_decode",
)  # fmt: skip


def put_into_place(environment: Environment) -> None:
    """Gives an environment these filters."""
    for name in _LEFT_OUT:
        del environment.filters[name]
    environment.add_filter("date", _date)
    for name, function in environment.filters.items():
        environment.filters[name] = _bounded(function, lets_missing_through=name == "default")


def _bounded(function: Callable[..., Any], *, lets_missing_through: bool) -> Callable[..., Any]:
    @wraps(function)
    def bounded(value: Any, *arguments: Any, **named: Any) -> Any:
        if not lets_missing_through:
            for one in (value, *arguments):
                if is_undefined(one):
                    str(one)  # raises
        result = function(value, *arguments, **named)
        if isinstance(result, str):
            is_large = len(result) > MOST_CHARACTERS
        elif isinstance(result, int):
            is_large = result.bit_length() > _MOST_BITS
        else:
            is_large = isinstance(result, Sized) and len(result) > MOST_ITEMS
        if is_large:
            raise ResourceLimitError("A filter gives more than a message can have.", token=None)
        return result

    return bounded


_DIRECTIVES = re.compile(r"%(.?)", re.DOTALL)
_OF_DATES: dict[str, Callable[[datetime], str]] = {
    "d": lambda moment: f"{moment.day:02}",
    "e": lambda moment: str(moment.day),
    "m": lambda moment: f"{moment.month:02}",
    "Y": lambda moment: f"{moment.year:04}",
    "y": lambda moment: f"{moment.year % 100:02}",
    "H": lambda moment: f"{moment.hour:02}",
    "M": lambda moment: f"{moment.minute:02}",
    "%": lambda _: "%",
}


def _date(value: Any, form: Any) -> str:
    """A day or moment in the form of ISO 8601, as it is given, in the digits of another form."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise FilterArgumentError("date: the value is no day or moment in the form of ISO 8601", token=None) from None

    def written(directive: re.Match[str]) -> str:
        write = _OF_DATES.get(directive[1])
        if write is None:
            known = " ".join(f"%{one}" for one in _OF_DATES)
            raise FilterArgumentError(f"date: {directive[0]!r} is none of {known}", token=None)
        return write(moment)

    return _DIRECTIVES.sub(written, str(form))
