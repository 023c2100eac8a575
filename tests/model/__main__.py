"""`make model`: explores the protocol in bounds that take a minute.

With the name of a mutant: how it fails, step by step.
"""

import sys

from sandbox.debian import NotInstalled
from tests.model import explorer
from tests.model.explorer import MUTANTS, Exploration

SAFETY = (
    ("FAULTS=3",),
    ("FAULTS=2", "ATTEMPTS=3"),
    ("MESSAGES=2", "FAULTS=2", "ACTS=0", "ATTEMPTS=1"),
    ("MESSAGES=2", "FAULTS=0", "ACTS=1"),
)
LIVENESS = (("FAULTS=2", "ACTS=1"),)


def main(arguments: list[str]) -> int:
    """Whether the model holds, and no mutant does: 0."""
    try:
        explorer.equip()
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 2
    if arguments:
        print(explorer.counterexample(arguments[0]))
        return 0
    ends = [_show("nothing breaks", bounds, explorer.safety(*bounds, optimize=True)) for bounds in SAFETY]
    ends += [_show("all comes to an end", bounds, explorer.liveness(*bounds, optimize=True)) for bounds in LIVENESS]
    found = [_show("must fail", (mutant,), explorer.safety(mutant)) for mutant in MUTANTS]
    return 0 if not any(ends) and all(found) else 1


def _show(promise: str, bounds: tuple[str, ...], exploration: Exploration) -> bool:
    """Whether something was found."""
    size = f"{exploration.states:>9} states {exploration.seconds:6.1f} s"
    print(f"{promise:<20} {' '.join(bounds):<40} {size}  {(exploration.violation or 'holds')[:60]}", flush=True)
    return exploration.violation is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
