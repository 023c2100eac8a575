"""How much is tried: little in `make test`, FUZZ_CASES in `make fuzz`; and from which seed."""

import os

SEED = int(os.environ.get("FUZZ_SEED", "1"))


def cases(usual: int) -> int:
    return int(os.environ.get("FUZZ_CASES") or usual)
