"""The processes that serve, under a parent that starts them, replaces those that die, and stops them.

They share one listening socket: a connection that waits is taken by whoever is free, and none is lost with a process.
The parent has no threads, since it forks; it hears signals where it waits for them and nowhere else.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable

from shared import clock, logs

GRACE = 20.0
"""Seconds that requests have to finish after SIGTERM or SIGINT. A second signal ends everything at once."""
_SLACK = 5.0  # seconds for a process to end itself after that
_PAUSE = 1.0  # seconds between two starts in the place of the same process

_HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

_log = logs.logger()


class Processes:
    def __init__(self, number: int, serve: Callable[[], None], ended: Callable[[int], None]) -> None:
        """serve: runs in each process. ended: is told the pid of one that is gone."""
        self._serve, self._ended = serve, ended
        self._places: list[int | None] = [None] * number  # pids
        self._started = [-_PAUSE] * number

    def run(self, stopping: Callable[[], None]) -> None:
        """Until a signal comes and all have ended. stopping: called at the first one."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        until = None
        while until is None or any(self._places):
            if until is None:
                self._fill()
            heard = signal.sigtimedwait(_HEARD, _PAUSE)
            self._bury()
            if heard is not None and heard.si_signo != signal.SIGCHLD:
                if until is None:
                    until = clock.ticks() + GRACE + _SLACK
                    stopping()
                    self._tell(signal.SIGTERM)
                else:
                    until = 0.0
            if until is not None and clock.ticks() >= until:
                self._tell(signal.SIGKILL)

    def _fill(self) -> None:
        for place, pid in enumerate(self._places):
            if pid is None and clock.ticks() - self._started[place] >= _PAUSE:
                self._started[place] = clock.ticks()
                self._places[place] = os.fork() or self._become()

    def _become(self) -> int:
        """In the new process; it does not return."""
        code = 1
        try:
            self._serve()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)  # what the parent will do in the end is not for this process to do

    def _bury(self) -> None:
        while any(self._places):
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid not in self._places:  # another child of this process
                continue
            self._places[self._places.index(pid)] = None
            if code := os.waitstatus_to_exitcode(status):
                _log.error("worker_ended", pid=pid, by=signal.Signals(-code).name if code < 0 else f"exit {code}")
            self._ended(pid)

    def _tell(self, number: signal.Signals) -> None:
        for pid in filter(None, self._places):
            os.kill(pid, number)


def hear(stop: Callable[[], None]) -> None:
    """In a process that serves: `stop` is called when the parent says so. It is the parent, too, who is asked by
    Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
