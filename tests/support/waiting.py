"""How long tests wait, on a machine of which others may want a part."""

import math
import os
import time
from collections.abc import Callable
from typing import Any

HANGING = 60.0
"""Seconds after which something is taken for what never comes. They tell waiting from hanging, and nothing else: how
soon something has to come, a test says itself."""

_OFTEN, _SELDOM = 0.005, 0.05


def wait_until(condition: Callable[[], Any], seconds: float = HANGING) -> Any:
    """The first truth that the condition gives. What takes long is asked for less often: whoever answers needs the
    time for what is waited for."""
    began = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - began
        assert waited < seconds, f"waited in vain for {seconds:g} s"
        time.sleep(min(_OFTEN + waited / 20, _SELDOM))
    return found


def patience(seconds: float, at_most: float = math.inf) -> float:
    """How long that may take here and now: the seconds of an idle machine, times the processes that want a core for
    each core there is. at_most: less than a faulty service would take, however busy the machine is."""
    return min(seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), at_most)
