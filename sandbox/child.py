"""Becomes `python -m MODULE`, and is sent SIGTERM when its parent dies, in whatever way (on Linux; elsewhere nothing).

Run by path, without the project on its path: `python -IS sandbox/child.py PARENT_PID MODULE [ARGUMENT …]`. A program of
its own, because nothing may run between fork and exec in a process that has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("The parent is gone.")  # it died before it could be watched
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606


if __name__ == "__main__":
    main()
