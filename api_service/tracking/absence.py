"""Why a client has no message of a mailing. Pure."""

from enum import StrEnum
from typing import Any, Self


class Absence(StrEnum):
    """Each with what it says of the client."""

    meaning: str

    def __new__(cls, name: str, *row: Any) -> Self:
        absence = str.__new__(cls, name)
        absence._value_ = name
        (absence.meaning,) = row
        return absence

    NOT_LAUNCHED = "not_launched", "the launch has not come to them: it lies ahead, goes on, or was cancelled before"
    NOT_MATCHED = "not_matched", "they did not match the filter at the launch"
    JOINED_LATER = "joined_later", "they joined the directory when the launch had begun"
    DELETED = "deleted", "they were deleted from the directory"
    ROWS_GONE = "rows_gone", "the messages of the mailing are not kept any more"
