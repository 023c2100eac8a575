"""`make drill NAME`: carries one out. Without a name: the list of them.

Everything is its own: servers, processes and Prometheus, on free ports of 127.0.0.1, and gone at the end. Exits 0 when
alarm, page and remedy did what they say, 1 when not, 2 when there is no drill of that name, 130 when interrupted.
"""

import sys
from collections.abc import Sequence

from sandbox.processes import interruptible
from tests.drills import rules as of_rules
from tests.drills.catalogue import DRILLS
from tests.drills.run import run


def main(arguments: Sequence[str]) -> int:
    """arguments: the name, if any."""
    match arguments:
        case []:
            _list()
            return 0
        case [name] if name in DRILLS:
            return _carry_out(name)
    print(f"There is no drill {' '.join(arguments)!r}. `make drill` lists those there are.", file=sys.stderr)
    return 2


def _list() -> None:
    width = max(map(len, DRILLS)) + 2
    for name, drill in DRILLS.items():
        print(f"  {name:<{width}}{drill.sentence}")


def _carry_out(name: str) -> int:
    drill = DRILLS[name]()
    print(f"{name}: {drill.sentence}\nWhat alarms wait for takes a {of_rules.TIMES}th of the time here.\n", flush=True)
    try:
        with interruptible():
            return 0 if run(drill, of_rules.load(), lambda line: print(line, flush=True)) else 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is cleaned up.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
