"""Why there is no text for somebody. Pure."""

from typing import NamedTuple

from shared.domain.reason import Reason


class Unmade(NamedTuple):
    """reason: for which their message is skipped. why: a sentence for people."""

    reason: Reason
    why: str


def missing(name: str) -> Unmade:
    return Unmade(Reason.MISSING_VALUE, f"There is no value of “{name}”.")
