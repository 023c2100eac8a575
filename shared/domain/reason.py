"""Why a client has no message of a mailing, or one that is `skipped`. Pure."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Each with what it says of the client. Of a skipped message it is kept in the place of an error."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        reason = str.__new__(cls, name)
        reason._value_ = name
        reason.meaning = meaning
        return reason

    NOT_LAUNCHED = "not_launched", "the launch has not come to them: it lies ahead, goes on, or was cancelled before"
    NOT_MATCHED = "not_matched", "they did not match the filter at the launch"
    JOINED_LATER = "joined_later", "they joined the directory when the launch had begun"
    DELETED = "deleted", "they were deleted from the directory"
    ROWS_GONE = "rows_gone", "the messages of the mailing are not kept any more"
    OPTED_OUT = "opted_out", "their phone is suppressed: it must not be written to"
