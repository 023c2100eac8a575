"""Names of a closed list, each with what it means. Pure."""

from enum import StrEnum
from typing import Any, Self


class Meaning(StrEnum):
    """A member is its name and a sentence for people."""

    meaning: str

    def __new__(cls, name: str, *row: Any) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        (member.meaning,) = row
        return member
