"""Texts with plain placeholders, `{{ name }}` and `{{ name | default: "friend" }}`, and nothing else of Liquid.

They are what nearly every personal text is, and are filled in about a microsecond, where Liquid takes twenty. What
comes out is what Liquid would make of them; a test compares the two.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from shared.domain.attributes import Value
from shared.domain.text.unmade import Unmade, missing

_WORDS_OF_LIQUID = frozenset((
    "and", "as", "blank", "cols", "contains", "continue", "else", "empty", "false", "for", "if", "in", "limit", "nil",
    "not", "null", "offset", "or", "required", "reversed", "true", "with",
))  # fmt: skip
_OPENS = re.compile(r"\{[{%]")
_BLANKS = r"[ \n\t\r]*"
_PLACEHOLDER = re.compile(
    rf"\{{\{{{_BLANKS}(?P<name>[^\W\d](?:[\w-]*\w)?){_BLANKS}"
    rf"(?:\|{_BLANKS}default{_BLANKS}:{_BLANKS}(?P<default>\"[^\"{{}}]*\"|'[^'{{}}]*'){_BLANKS})?\}}\}}"
)


class _Asked(NamedTuple):
    """A placeholder. default: None: without one."""

    name: str
    default: str | None


class Placeholders:
    """A text that is compiled."""

    def __init__(self, asked: Sequence[_Asked], between: Sequence[str]) -> None:
        """between: what stands before, between and behind them."""
        self._asked = tuple(asked)
        self._form = "%s".join(part.replace("%", "%%") for part in between)
        self.names = frozenset(one.name for one in asked)
        """The attributes that it asks for."""

    @classmethod
    def of(cls, text: str) -> Self | None:
        """None: there is more in it than plain placeholders."""
        asked: list[_Asked] = []
        between, at = [], 0
        while found := _OPENS.search(text, at):
            match = _PLACEHOLDER.match(text, found.start())
            if match is None or match["name"] in _WORDS_OF_LIQUID:
                return None
            default = match["default"]
            asked.append(_Asked(match["name"], None if default is None else default[1:-1]))
            between.append(text[at : found.start()])
            at = match.end()
        return cls(asked, [*between, text[at:]])

    def render(self, values: Mapping[str, Value]) -> str | Unmade:
        """The text for who has these attributes."""
        found = []
        for name, default in self._asked:
            value = values.get(name)
            if type(value) is str:
                found.append(value or default or value)
            elif value is None or (value is False and default is not None):
                if default is None:
                    return missing(name)
                found.append(default)
            else:
                found.append(str(value).lower() if isinstance(value, bool) else str(value))
        return self._form % tuple(found)
