"""Becomes `python -m MODULE` under libfaketime: `python -m tests.support.other_clock MODULE [ARGUMENT …]`.

That library breaks the system call behind `time.sleep`, which here waits in another way.
"""

import runpy
import select
import sys
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


if __name__ == "__main__":
    time.sleep = _sleep  # type: ignore[assignment]
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
