"""Why a client has no message of a mailing. Pure."""

from shared.domain.meaning import Meaning


class Absence(Meaning):
    """Each with what it says of the client."""

    NOT_LAUNCHED = "not_launched", "the launch has not come to them: it lies ahead, goes on, or was cancelled before"
    NOT_MATCHED = "not_matched", "they did not match the filter at the launch, or whom a retry is for"
    JOINED_LATER = "joined_later", "they joined the directory when the launch had begun"
    EXCLUDED = "excluded", "they were left out: another retry has reached them, or may have, or is still to"
    DELETED = "deleted", "they were deleted from the directory"
    ROWS_GONE = "rows_gone", "the messages of the mailing are not kept any more"
