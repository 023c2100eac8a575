"""Texts with plain placeholders, `{{ name }}` and `{{ name | default: "friend" }}`, and nothing else of Liquid.

They are what nearly every personal text is, and are filled in about a microsecond, where Liquid takes twenty. What
comes out is what Liquid would make of them; a test compares the two.
"""

import re
from collections.abc import Mapping
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


class _Piece(NamedTuple):
    """A placeholder, and the text before it. default: None: without one."""

    before: str
    name: str
    default: str | None


class Placeholders:
    """A text that is compiled."""

    def __init__(self, pieces: list[_Piece], end: str) -> None:
        self._pieces, self._end = pieces, end
        self.names = frozenset(piece.name for piece in pieces)
        """The attributes that it asks for."""

    @classmethod
    def of(cls, text: str) -> Self | None:
        """None: there is more in it than plain placeholders."""
        pieces, at = [], 0
        while found := _OPENS.search(text, at):
            match = _PLACEHOLDER.match(text, found.start())
            if match is None or match["name"] in _WORDS_OF_LIQUID:
                return None
            default = match["default"]
            pieces.append(_Piece(text[at : found.start()], match["name"], None if default is None else default[1:-1]))
            at = match.end()
        return cls(pieces, text[at:])

    def render(self, values: Mapping[str, Value]) -> str | Unmade:
        """The text for who has these attributes."""
        made: list[str] = []
        for before, name, default in self._pieces:
            value = values.get(name)
            if type(value) is not str:
                if value is None or (value is False and default is not None):
                    if default is None:
                        return missing(name)
                    value = default
                else:
                    value = str(value).lower() if isinstance(value, bool) else str(value)
            elif not value and default is not None:
                value = default
            made += (before, value)
        made.append(self._end)
        return "".join(made)
