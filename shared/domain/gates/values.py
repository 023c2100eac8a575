"""A personal text needs the values that it is made of, and something to see in what is made. Pure."""

from shared.domain.gates.gate import Case, Gate, Skip, Stop
from shared.domain.reason import Reason
from shared.domain.text.shown import shows_something
from shared.domain.text.unmade import Unmade


def _stop(case: Case) -> Stop | None:
    if isinstance(case.text, Unmade):
        return Skip(case.text.reason)
    return None if shows_something(case.text) else Skip(Reason.MISSING_VALUE)


VALUES = Gate(stop=_stop, reason=Reason.MISSING_VALUE)
