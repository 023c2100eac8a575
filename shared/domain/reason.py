"""Why a message is `skipped`. Pure."""

from shared.domain.meaning import Meaning


class Reason(Meaning):
    """Each with what it says of the client. Kept with the message in the place of an error, and counted by mailing."""

    OPTED_OUT = "opted_out", "their phone is suppressed: it must not be written to"
    MISSING_VALUE = "missing_value", "their text lacks a value, or there would be nothing to see in it"
    TOO_LONG = "too_long", "their text would be longer than a message may be, or take too long to make"
