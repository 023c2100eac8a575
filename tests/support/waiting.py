"""How long tests wait, on a machine of which others may want a part."""

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


def patience(seconds: float) -> float:
    """As long as that takes on this machine, of which others may want a part."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
