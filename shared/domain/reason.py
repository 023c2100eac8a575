"""Why a message is `skipped`. Pure."""

from enum import StrEnum
from typing import Any, Self


class Reason(StrEnum):
    """Each with what it says of the client. Kept with the message in the place of an error, and counted by mailing."""

    meaning: str

    def __new__(cls, name: str, *row: Any) -> Self:
        reason = str.__new__(cls, name)
        reason._value_ = name
        (reason.meaning,) = row
        return reason

    OPTED_OUT = "opted_out", "their phone is suppressed: it must not be written to"
