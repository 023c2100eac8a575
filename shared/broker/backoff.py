"""How long to wait before a lost connection is tried again. Pure."""

import random
from collections.abc import Callable, Iterator

FIRST = 0.1
LONGEST = 2.0
"""Who was gone for long is found again within so many seconds: a try costs next to nothing."""


def backoff(
    first: float = FIRST,
    longest: float = LONGEST,
    chance: Callable[[], float] = random.random,
) -> Iterator[float]:
    """Seconds before each further try, without end: doubling from `first` to `longest`, each cut by up to a half at
    random, so that those who lost the same broker do not come back all at once. Begin a new one after a success.

    chance: gives numbers from 0 up to 1.
    """
    delay = min(first, longest)
    while True:
        yield delay * (1 - chance() / 2)
        delay = min(delay * 2, longest)
