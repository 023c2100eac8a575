"""The gates in the order in which a message passes them, and what follows from the list. Pure."""

from collections.abc import Iterable

from shared.domain.gates.gate import Case, Gate, Stop
from shared.domain.gates.length import LENGTH
from shared.domain.gates.suppression import SUPPRESSION
from shared.domain.gates.values import VALUES
from shared.domain.gates.window import WINDOW

GATES = (WINDOW, SUPPRESSION, VALUES, LENGTH)
"""What SQL can tell goes first, so that no text is made for who gets none."""

OF_SQL = tuple(gate for gate in GATES if gate.passes is not None)
OF_TEXTS = tuple(gate for gate in GATES if gate.passes is None)

READS = ", ".join(f"{sql} as {name}" for gate in GATES for name, sql in gate.reads.items())
PASSES = " and ".join(gate.passes for gate in GATES if gate.passes)


def first_stop(case: Case, gates: Iterable[Gate] = GATES) -> Stop | None:
    """What the first gate does that a message does not pass; None: it passes all of them."""
    for gate in gates:  # of each message that has a text of its own
        if stop := gate.stop(case):
            return stop
    return None
