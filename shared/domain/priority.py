"""The class of a mailing: which mailings go first. Pure."""

from enum import StrEnum


class Priority(StrEnum):
    """Most urgent first; a mailing is `normal` unless somebody says otherwise.

    What a class may take from the others is in `dispatcher_service.leading.fair_share`.
    """

    URGENT = "urgent"  # before all others, whatever their ends
    NORMAL = "normal"
    BULK = "bulk"  # with what the others leave
