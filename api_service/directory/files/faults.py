"""Why a file cannot be taken as a whole."""

from collections.abc import Mapping, Sequence


class NotText(Exception):
    """It is something else than a text, or one in an encoding that is not known. Its words say what helps."""


class NotTable(Exception):
    """It is a text in which no clients can be found. errors: sentences by header, or by what of the file is wrong."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors
