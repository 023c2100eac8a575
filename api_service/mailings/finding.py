"""What a preflight may find: a blocker refuses the start; a warning does not. Each is a name of a closed list. Pure."""

from enum import StrEnum
from typing import NamedTuple

from shared.domain.meaning import Meaning


class Blocker(Meaning):
    """Each with what it says for all mailings."""

    END_PASSED = "end_passed", "The end has passed: nothing would be sent."
    UNKNOWN_IN_FILTER = (
        "unknown_in_filter",
        "The filter names what is not there: a segment, an import, or a mailing whose messages are kept.",
    )
    NOBODY = "nobody", "No client matches the filter."
    ALL_SKIPPED = "all_skipped", "Everybody who matches is left out for a reason of their own."
    NO_ZONE_OPENS = "no_zone_opens", "The send window opens for nobody before the end."


class Caution(Meaning):
    """What is warned of; each with what it says for all mailings."""

    UNCOUNTED = "uncounted", "The clients could not be counted in time."
    ZONES_CLOSED = "zones_closed", "The send window opens for some clients only after the end: they get nothing."
    ZONES_LATE = "zones_late", "The send window opens for some clients so late that little time is left for them."
    UCS2 = "ucs2", "A few characters make the text cost more parts than it needs."
    MANY_PARTS = "many_parts", "The text has more parts than many providers take."
    NO_DISPATCHER = "no_dispatcher", "No dispatcher is running: nothing is sent until one does."
    MISSES_END = "misses_end", "At the rate that is known it would not be done before its end."
    UNKNOWN_NAME = "unknown_name", "The text asks for a value that nobody has who was looked at."
    MISSING_VALUE = "missing_value", "Some get nothing: their text lacks a value, or there is nothing to see in it."
    TOO_LONG = "too_long", "Some get nothing: their text would be longer than a message may be."
    OVERLAP = "overlap", "Some clients are still to get another mailing."
    OTHER_ZONE = (
        "other_zone",
        "Some phones were issued in another time zone than the default one that their clients have.",
    )


class Finding(NamedTuple):
    """type: a Blocker or a Caution. message: a sentence about this mailing."""

    type: StrEnum
    message: str
