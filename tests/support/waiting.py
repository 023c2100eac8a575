"""How long tests wait, on a machine of which others may want a part."""

import math
import os
import time
from collections.abc import Callable
from typing import Any

HANGING = 60.0
"""Seconds after which something is taken for what never comes. They tell waiting from hanging, and nothing else: how
soon something has to come, a test says itself."""


def wait_until(condition: Callable[[], Any], seconds: float = HANGING) -> Any:
    """The first truth that the condition gives."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {seconds:g} s"
        time.sleep(0.02)
    return found


def patience(seconds: float, at_most: float = math.inf) -> float:
    """How long that may take here and now: the seconds of an idle machine, times the processes that want a core for
    each core there is. at_most: less than a faulty service would take, however busy the machine is."""
    return min(seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), at_most)
