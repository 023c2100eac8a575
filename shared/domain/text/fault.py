"""What is wrong with a text that is to be a template. Pure."""

from typing import Self


class Fault(Exception):
    """Says where and what, in one sentence."""

    @classmethod
    def at(cls, text: str, index: int, what: str) -> Self:
        """index: of the character at fault. Lines and columns are counted from 1."""
        line = text.count("\n", 0, index) + 1
        column = index - (text.rfind("\n", 0, index) + 1) + 1
        return cls(f"Line {line}, column {column}: {what}")
