"""Why a message is `skipped`. Pure."""

from shared.domain.meaning import Meaning


class Reason(Meaning):
    """Each with what it says of the client. Kept with the message in the place of an error, and counted by mailing."""

    OPTED_OUT = "opted_out", "their phone is suppressed: it must not be written to"
