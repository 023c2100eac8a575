"""A text is no longer than a message may be, whoever it is made for. Pure."""

from shared.domain.gates.gate import Case, Gate, Skip, Stop
from shared.domain.reason import Reason

MOST_CHARACTERS = 2000


def _stop(case: Case) -> Stop | None:
    return Skip(Reason.TOO_LONG) if len(case.text) > MOST_CHARACTERS else None


LENGTH = Gate(stop=_stop, reason=Reason.TOO_LONG)
